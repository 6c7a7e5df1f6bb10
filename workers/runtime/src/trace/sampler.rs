//! Which traces are kept, as `OTEL_TRACES_SAMPLER` says. Pure: everybody who meets a trace decides alike.

use super::context::TraceId;

/// Decides whether the spans of a trace are wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Whether the sender's decision is obeyed where there is one.
    is_parent_based: bool,
    /// The share of traces that are kept otherwise, from 0 to 1.
    share: f64,
}

impl Default for Sampler {
    /// The standard's: as the sender decided, and otherwise all.
    fn default() -> Self {
        Self { is_parent_based: true, share: 1.0 }
    }
}

impl Sampler {
    /// The sampler of this name; `share` is that of the samplers that keep a share. Nothing if the
    /// standard has no such name.
    pub fn named(name: &str, share: f64) -> Option<Self> {
        let is_parent_based = name.starts_with("parentbased_");
        let share = match name.trim_start_matches("parentbased_") {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => share,
            _ => return None,
        };
        Some(Self { is_parent_based, share })
    }

    /// Whether `trace` is kept, about which its sender may have decided before.
    pub fn keeps(&self, trace: TraceId, sender: Option<bool>) -> bool {
        if let Some(is_sampled) = sender.filter(|_| self.is_parent_based) {
            return is_sampled;
        }
        // The same number as in the SDKs of OpenTelemetry, so that services in any language agree.
        let low: [u8; 8] = trace.bytes()[8..].try_into().expect("a trace id has 16 bytes");
        let number = u64::from_be_bytes(low) >> 1;
        self.share >= 1.0 || number < (self.share * (1_u64 << 63) as f64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_traces_is_kept_and_the_sender_is_obeyed_if_so_asked() {
        let kept = |name: &str, sender: Option<bool>| {
            let sampler = Sampler::named(name, 0.25).unwrap();
            (0..1_000).filter(|n| sampler.keeps(TraceId::of(&n.to_string()), sender)).count()
        };
        let quarter = kept("traceidratio", None);
        assert!((200..300).contains(&quarter), "{quarter}");
        assert_eq!(kept("traceidratio", Some(false)), quarter);
        assert_eq!(kept("parentbased_traceidratio", None), quarter);
        assert_eq!(kept("parentbased_traceidratio", Some(true)), 1_000);
        assert_eq!(kept("parentbased_always_off", Some(true)), 1_000);
        assert_eq!(kept("parentbased_always_on", Some(false)), 0);
        assert_eq!(kept("always_off", Some(true)), 0);
        assert_eq!(kept("always_on", Some(false)), 1_000);
        assert_eq!(Sampler::named("jaeger_remote", 1.0), None);
    }
}

//! The exporter: records what the process counts, and renders it for Prometheus.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

use super::catalogue::{BUILD_INFO, CATALOGUE};
use super::metric::{Place, Shape};

/// What has been recorded in this process.
#[derive(Clone)]
pub struct Exporter {
    recorded: PrometheusHandle,
    process: Collector,
}

/// Begins to record, with every series of the catalogue at zero: a rate over one that appears out of
/// nothing would miss its first increment. An error if the process records already.
pub fn install(place: &Place) -> Result<Exporter, BuildError> {
    let recorded = builder(place)?.install_recorder()?;
    for metric in CATALOGUE {
        metric.install(place);
    }
    BUILD_INFO.set(&[env!("CARGO_PKG_VERSION")], 1.0);
    Ok(Exporter { recorded, process: Collector::default() })
}

/// Histograms with the buckets of the catalogue, and the worker's name on everything, so that a query
/// needs to know nothing of how the workers were found.
fn builder(place: &Place) -> Result<PrometheusBuilder, BuildError> {
    let builder = PrometheusBuilder::new().add_global_label("worker", place.party.name());
    CATALOGUE.iter().try_fold(builder, |builder, metric| match metric.shape {
        Shape::Histogram(bounds) => {
            builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)
        }
        Shape::Counter | Shape::Gauge => Ok(builder),
    })
}

impl Exporter {
    /// Everything in the text format of Prometheus.
    pub fn render(&self) -> String {
        self.process.collect();
        self.recorded.render()
    }

    /// Tidies up what histograms have gathered; to be done every few seconds.
    pub fn tidy_up(&self) {
        self.recorded.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use orderly_contracts::routes::Party;

    use super::*;
    use crate::topology::WORKERS;

    /// The page of a worker that has just started, with the longest retry ladder there may be.
    fn first_page(party: Party) -> String {
        let place = Place { party, rungs: 10 };
        let recorder = builder(&place).expect("every histogram has buckets").build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            for metric in CATALOGUE.iter().filter(|metric| metric.of.contains(&party)) {
                metric.describe();
                metric.register(&place);
            }
            Collector::default().collect();
        });
        handle.render()
    }

    #[test]
    fn a_page_is_small_and_has_every_series_from_the_start() {
        for party in WORKERS {
            let page = first_page(party);
            let series = page.lines().filter(|line| !line.starts_with('#')).count();
            // The longest numbers would make it a third longer.
            assert!(page.len() < 60 * 1024, "{party}: {} bytes", page.len());
            assert!(series < 600, "{party}: {series} series");
            for line in page.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
                assert!(line.contains(&format!("worker=\"{party}\"")), "{line}");
            }
        }
    }

    #[test]
    fn a_page_has_the_metrics_of_the_catalogue_and_no_others() {
        for party in WORKERS {
            let page = first_page(party);
            let typed = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
            let found: BTreeSet<&str> = typed.collect();
            let of_party = CATALOGUE.iter().filter(|metric| metric.of.contains(&party));
            let expected: BTreeSet<String> = of_party
                .map(|metric| match metric.shape {
                    Shape::Counter => format!("{} counter", metric.name),
                    Shape::Gauge => format!("{} gauge", metric.name),
                    Shape::Histogram(_) => format!("{} histogram", metric.name),
                })
                .collect();
            assert_eq!(found, expected.iter().map(String::as_str).collect());
            let helped = page.lines().filter(|line| line.starts_with("# HELP ")).count();
            assert_eq!(helped, expected.len(), "every metric is explained");
        }
    }

    #[test]
    fn a_value_of_no_set_makes_no_series() {
        let place = Place { party: Party::Payment, rungs: 5 };
        let recorder = builder(&place).expect("every histogram has buckets").build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let money = super::super::catalogue::MONEY_CHARGED.register(&place);
            for invented in ["XXA", "XXB", "XXC", "EUR"] {
                money.add(&[invented], 5);
            }
            let messages = super::super::catalogue::MESSAGES.register(&place);
            messages.add(&["payment.commands", "plaice.order.v1", "done"], 5);
            messages.add(&["payment.commands", "payment.refund.v1", "done"], 5);
        });
        let page = handle.render();
        assert!(page.contains("{worker=\"payment\",currency=\"other\"} 15\n"), "{page}");
        assert!(page.contains("{worker=\"payment\",currency=\"EUR\"} 5\n"), "{page}");
        assert!(!page.contains("XXA") && !page.contains("plaice"), "{page}");
        assert!(!page.contains("orderly_messages_total{worker=\"payment\",queue=\"payment.commands\",kind=\"payment.refund.v1\""), "{page}");
    }
}

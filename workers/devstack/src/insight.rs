//! Whether servers can be asked afterwards what they did with their time.

/// How closely servers look at themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Insight {
    /// As in production.
    #[default]
    Usual,
    /// PostgreSQL counts what each statement takes (`pg_stat_statements`), and RabbitMQ tells `perf` the names of
    /// its functions, in a file `/tmp/perf-<pid>.map`.
    Profiled,
}

impl Insight {
    /// More settings for PostgreSQL.
    pub(crate) fn database_settings(self) -> &'static str {
        match self {
            Self::Usual => "",
            Self::Profiled => "shared_preload_libraries = 'pg_stat_statements'\n",
        }
    }

    /// More arguments for Erlang, each after a blank.
    pub(crate) fn erlang_arguments(self) -> &'static str {
        match self {
            Self::Usual => "",
            Self::Profiled => " +JPperf true",
        }
    }

    /// Removes what Erlang leaves outside of the folder of the run.
    pub(crate) fn forget(self, broker: u32) {
        if self == Self::Profiled {
            // Without it there is nothing to remove.
            let _ = std::fs::remove_file(format!("/tmp/perf-{broker}.map"));
        }
    }
}

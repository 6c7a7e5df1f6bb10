//! The variables by which the workers and the command `orderly` learn where everything is.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::Result;

use crate::endpoints::Endpoints;
use crate::ports::free_port;

/// The services, each with a database and a worker of its own.
pub const SERVICES: [&str; 3] = ["order", "stock", "payment"];

/// Names and values, in the order of their names.
pub type Environment = BTreeMap<String, String>;

/// All variables of a system on the virtual host `vhost`, where `database` names each service's database.
///
/// Every call chooses new ports for the workers' health and metrics.
pub(crate) fn environment(
    endpoints: &Endpoints,
    vhost: &str,
    database: impl Fn(&str) -> String,
) -> Result<Environment> {
    let mut environment = Environment::from([
        ("ORDERLY_BROKER_URL".to_owned(), endpoints.amqp_url(vhost)),
        ("ORDERLY_MANAGEMENT_URL".to_owned(), endpoints.management_url()),
    ]);
    for service in SERVICES {
        let url = endpoints.database_url(&database(service));
        environment.insert(variable(service, "DATABASE_URL"), url);
        let address = format!("{}:{}", Ipv4Addr::LOCALHOST, free_port()?);
        environment.insert(variable(service, "HTTP"), address);
    }
    Ok(environment)
}

/// Gives `command` these `ORDERLY_*` variables and no other: the programs take an unknown one for a mistake.
/// Nor does it inherit those of OpenTelemetry, by which it would export traces.
pub(crate) fn give(command: &mut Command, environment: &Environment) {
    for (inherited, _) in std::env::vars_os() {
        let name = inherited.to_string_lossy();
        if name.starts_with("ORDERLY_") || name.starts_with("OTEL_") {
            command.env_remove(inherited);
        }
    }
    command.envs(environment);
}

/// The name of a service's variable: `ORDERLY_STOCK_HTTP` for `stock` and `HTTP`.
pub fn variable(service: &str, what: &str) -> String {
    format!("ORDERLY_{}_{what}", service.to_uppercase())
}

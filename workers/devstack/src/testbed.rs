//! A test's own corner of the shared nodes: a virtual host and three databases that no other test sees.

use anyhow::Result;

use crate::endpoints::{Endpoints, shared};
use crate::environment::{Environment, SERVICES, environment};
use crate::random::random_word;

/// A virtual host and a database a service, with unique names; dropping it removes them.
pub struct TestBed {
    endpoints: Endpoints,
    vhost: String,
    suffix: String,
    environment: Environment,
}

impl TestBed {
    /// Makes a test bed on the nodes that `devstack run` shares among tests.
    pub fn new() -> Result<Self> {
        Self::on(&shared()?)
    }

    /// Makes a test bed on given nodes, for tests that stop or kill their nodes.
    pub fn on(endpoints: &Endpoints) -> Result<Self> {
        let suffix = random_word(8)?;
        let vhost = format!("test-{suffix}");
        let environment = environment(endpoints, &vhost, |service| database(service, &suffix))?;
        let bed = Self { endpoints: endpoints.clone(), vhost, suffix, environment };
        bed.endpoints.create_vhost(&bed.vhost)?;
        let names = bed.databases();
        bed.endpoints.create_databases(&names.each_ref().map(String::as_str))?;
        Ok(bed)
    }

    /// The nodes this test bed is on.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The name of the virtual host.
    pub fn vhost(&self) -> &str {
        &self.vhost
    }

    /// The name of a service's database.
    pub fn database(&self, service: &str) -> String {
        database(service, &self.suffix)
    }

    /// `amqp://...` of the virtual host.
    pub fn amqp_url(&self) -> String {
        self.endpoints.amqp_url(&self.vhost)
    }

    /// `amqps://...` of the virtual host.
    pub fn amqps_url(&self) -> String {
        self.endpoints.amqps_url(&self.vhost)
    }

    /// `postgres://...` of a service's database.
    pub fn database_url(&self, service: &str) -> String {
        self.endpoints.database_url(&self.database(service))
    }

    /// The variables for workers and for `orderly`; the same at every call.
    pub fn env(&self) -> Environment {
        self.environment.clone()
    }

    fn databases(&self) -> [String; 3] {
        SERVICES.map(|service| self.database(service))
    }
}

impl Drop for TestBed {
    fn drop(&mut self) {
        let names = self.databases();
        let dropped = self
            .endpoints
            .delete_vhost(&self.vhost)
            .and(self.endpoints.drop_databases(&names.each_ref().map(String::as_str)));
        // A test may have left its nodes down; the nodes' own end then takes everything.
        if let Err(error) = dropped {
            eprintln!("devstack: the test bed {} remains: {error:#}", self.suffix);
        }
    }
}

fn database(service: &str, suffix: &str) -> String {
    format!("{service}_{suffix}")
}

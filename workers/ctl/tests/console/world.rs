//! A system with workers, and `orderly` as a process.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use orderly_devstack::{Environment, TestBed, Worker, Workers, wait_for};
use serde_json::{Value, json};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A letter, filed in the database of the order worker.
const LETTER: &str = r#"INSERT INTO dead_letters (id, reason, explanation, attempts, queue, exchange,
    routing_key, kind, message_id, correlation_id, worker, first_at, last_at, properties, body,
    fingerprint)
VALUES ('00000000-0000-4000-8000-000000000007', 'poison', 'order 17 fails', 5, 'order.new',
    'orderly.commands', 'order.place.v1', 'order.place.v1', 'm-1', 'o', 'orderly-order 1', now(),
    now(), '{"type":"order.place.v1"}', convert_to('{"order_id":"o"}', 'UTF8'), 'feedc0ffee00')"#;

/// A test's own queues and databases, with or without workers.
pub(crate) struct World {
    // First, because workers go before what they work on.
    workers: Option<Workers>,
    pub(crate) bed: TestBed,
    pub(crate) folder: tempfile::TempDir,
}

impl World {
    /// Tables and queues.
    pub(crate) fn idle() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = Self { workers: None, bed: TestBed::new().unwrap(), folder };
        for command in ["setup", "migrate"] {
            let output = world.orderly(&[command]).output().unwrap();
            assert!(output.status.success(), "{command}: {}", text(&output.stderr));
        }
        world
    }

    /// Tables, queues and a worker a service.
    pub(crate) fn at_work() -> Self {
        let mut world = Self::idle();
        let bin = Path::new(env!("CARGO_BIN_EXE_orderly")).parent().unwrap();
        let workers = Workers::start(bin, &world.bed.env(), world.folder.path());
        world.workers = Some(workers.unwrap());
        world
    }

    /// One of the workers.
    pub(crate) fn worker(&mut self, service: &str) -> &mut Worker {
        let mut all = self.workers.as_mut().unwrap().each_mut().into_iter();
        all.find(|(name, _)| *name == service).unwrap().1
    }

    /// The variables of this world.
    pub(crate) fn environment(&self) -> Environment {
        let mut environment = self.bed.env();
        environment.insert("ORDERLY_OPERATOR".to_owned(), "ada".to_owned());
        environment
    }

    /// `orderly` with these variables as its only `ORDERLY_*` ones.
    pub(crate) fn orderly(&self, arguments: &[&str]) -> Command {
        let mut command = orderly(arguments);
        command.envs(self.environment());
        command
    }

    /// Runs `orderly`, whatever comes of it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.orderly(arguments).output().unwrap()
    }

    /// Runs statements in the database of a service.
    pub(crate) fn sql(&self, service: &str, statement: &str) -> String {
        let ran = self.bed.endpoints().query(&self.bed.database(service), statement);
        ran.unwrap_or_else(|error| panic!("{statement}: {error:#}")).trim().to_owned()
    }

    /// Files a dead letter of the order worker.
    pub(crate) fn file_a_letter(&self) {
        self.sql("order", LETTER);
    }

    /// Places an order for a lamp.
    pub(crate) fn place(&self, order: &str) {
        let body = json!({
            "order_id": order, "currency": "GBP", "payment_token": "tok_visa",
            "lines": [{"sku": "lamp", "quantity": 1, "unit_price": 1250}],
        });
        let output = self.run(&["publish", "order.place.v1", "--body", &body.to_string()]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    /// Waits until something holds.
    pub(crate) fn wait<T>(&self, what: &str, check: impl FnMut() -> Option<T>) -> T {
        let mut check = check;
        wait_for(what, PATIENCE, || Ok(check())).unwrap()
    }
}

/// `orderly` without any `ORDERLY_*` variable.
pub(crate) fn orderly(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orderly"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ORDERLY_") {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    command
}

/// What a program said.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A program's JSON.
pub(crate) fn parsed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)))
}

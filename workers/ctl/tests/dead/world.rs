//! Databases with dead letters in them, queues without workers, and `orderly` as a process.

use std::process::{Command, Output};
use std::time::Duration;

use orderly_devstack::TestBed;
use orderly_runtime::amqp::broker::AmqpBroker;
use orderly_runtime::broker::{Acks, Broker, Deliveries};
use orderly_runtime::config::Reader;
use orderly_runtime::message::Delivery;
use serde_json::Value;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A letter to file: its number, and what is special about it.
pub(crate) struct Letter<'a> {
    pub(crate) number: u32,
    pub(crate) reason: &'a str,
    pub(crate) text: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) routing_key: &'a str,
    pub(crate) message_id: Option<&'a str>,
    pub(crate) body: &'a str,
}

/// A proper order whose processing failed.
pub(crate) const POISON: Letter<'_> = Letter {
    number: 1,
    reason: "poison",
    text: "order 17 fails",
    kind: "order.place.v1",
    routing_key: "order.place.v1",
    message_id: Some("m-1"),
    body: r#"{"order_id":"o"}"#,
};

impl Letter<'_> {
    fn id(&self) -> String {
        format!("00000000-0000-4000-8000-{:012}", self.number)
    }

    /// The statement that files it.
    pub(crate) fn filing(&self) -> String {
        let Letter { number, reason, text, kind, routing_key, body, .. } = self;
        let message_id = self.message_id.map_or("NULL".to_owned(), |id| format!("'{id}'"));
        let mut properties = serde_json::json!({
            "type": kind, "content_type": "application/json",
            "headers": {"mine": {"text": "kept"}, "orderly-attempts": {"i64": 5}},
        });
        if let Some(id) = self.message_id {
            properties["message_id"] = id.into();
        }
        let (id, minutes) = (self.id(), 1_000 - number);
        format!(
            "INSERT INTO dead_letters (id, reason, explanation, attempts, queue, exchange,
                 routing_key, kind, message_id, correlation_id, worker, first_at, last_at,
                 properties, body)
             VALUES ('{id}', '{reason}', '{text}', 5, 'order.new', 'orderly.commands',
                 '{routing_key}', '{kind}', {message_id}, 'o', 'orderly-order 1',
                 '2026-01-01T00:00:00Z', now() - {minutes} * interval '1 minute',
                 '{properties}', convert_to('{body}', 'UTF8'))"
        )
    }
}

/// A test's own databases, and its own queues.
pub(crate) struct World {
    pub(crate) bed: TestBed,
}

impl World {
    /// Tables, but no queues: enough for whoever sends nothing.
    pub(crate) fn new() -> Self {
        let world = Self { bed: TestBed::new().unwrap() };
        world.succeed(&["migrate"]);
        world
    }

    /// Tables and queues.
    pub(crate) fn with_queues() -> Self {
        let world = Self::new();
        world.succeed(&["setup"]);
        world
    }

    /// Files a letter in the database of the order worker; its id.
    pub(crate) fn file(&self, letter: &Letter<'_>) -> String {
        self.sql(&letter.filing());
        letter.id()
    }

    /// Runs statements in the order database.
    pub(crate) fn sql(&self, statement: &str) -> String {
        let ran = self.bed.endpoints().query(&self.bed.database("order"), statement);
        ran.unwrap_or_else(|error| panic!("{statement}: {error:#}")).trim().to_owned()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orderly"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ORDERLY_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).envs(self.bed.env()).env("ORDERLY_OPERATOR", "ada");
        command.stdin(std::process::Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that has to succeed; what it says.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same, with its JSON, line by line.
    pub(crate) fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let text = self.succeed(&[arguments, &["--json"]].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Runs a command that has to fail with this status; what it complains about.
    pub(crate) fn fail(&self, status: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", stderr(&output));
        stderr(&output)
    }

    pub(crate) fn status(&self, id: &str) -> String {
        self.sql(&format!("SELECT status FROM dead_letters WHERE id = '{id}'"))
    }

    async fn broker(&self) -> AmqpBroker {
        let address = Reader::new(self.bed.env()).address("ORDERLY_BROKER", &["amqp"]).unwrap();
        AmqpBroker::connect(&address, "test").await.unwrap()
    }

    /// Takes `count` messages out of the queue of new orders.
    pub(crate) async fn receive(&self, count: usize) -> Vec<Delivery> {
        let broker = self.broker().await;
        let (mut deliveries, mut acks) = broker.consume("order.new", 100).await.unwrap();
        let mut received = Vec::new();
        while received.len() < count {
            let next = tokio::time::timeout(PATIENCE, deliveries.next());
            received.push(next.await.expect("a message in time").unwrap().unwrap());
        }
        acks.ack_up_to(received.last().map_or(0, |it| it.tag)).await.unwrap();
        acks.close().await.unwrap();
        broker.close().await;
        received
    }

    /// Waits until `count` messages lie in the queue of new orders.
    pub(crate) async fn queued(&self, count: u32) {
        let broker = self.broker().await;
        let counted = async {
            while broker.depth("order.new").await.unwrap().ready != count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, counted).await.expect("so many messages in time");
        broker.close().await;
    }
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

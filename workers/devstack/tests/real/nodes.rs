//! Nodes stay apart, stay on loopback, keep their data over restarts, and leave nothing behind.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::thread;

use orderly_devstack::{Endpoints, Nodes, TestBed};
use serde_json::json;

use crate::support::{is_loopback, listeners, processes, wait_for_nothing};

#[test]
fn two_runs_stay_apart_and_on_loopback() {
    let before = listeners();
    let (one, other) = thread::scope(|scope| {
        let other = scope.spawn(|| Nodes::start().unwrap());
        (Nodes::start().unwrap(), other.join().unwrap())
    });
    let accounts =
        ["broker", "database"].map(|node| one.folder().join(node).metadata().unwrap().uid());
    let ours: Vec<_> = listeners()
        .difference(&before)
        .filter(|(_, account)| accounts.contains(account))
        .cloned()
        .collect();
    // AMQP, AMQPS, management, metrics, distribution, registry and PostgreSQL, twice.
    assert!(ours.len() >= 14, "{ours:?}");
    assert!(ours.iter().all(|(address, _)| is_loopback(address)), "{ours:?}");

    check_that_a_test_bed_is_there_and_goes(one.endpoints(), other.endpoints());
    check_certificates(one.endpoints());
    check_the_endpoints_file(&one);

    for nodes in [one, other] {
        let (folder, processes) = (nodes.folder().to_owned(), processes(nodes.folder()));
        assert!(processes.len() > 6, "{processes:?}");
        drop(nodes);
        wait_for_nothing(&processes, &folder);
    }
}

fn check_that_a_test_bed_is_there_and_goes(here: &Endpoints, elsewhere: &Endpoints) {
    let bed = TestBed::on(here).unwrap();
    let vhost = format!("/api/vhosts/{}", bed.vhost());
    let database = bed.database("stock");
    assert!(here.management_get(&vhost).is_ok());
    assert!(elsewhere.management_get(&vhost).is_err());
    assert_eq!(here.query(&database, "SELECT 1 + 1").unwrap(), "2");
    assert!(elsewhere.query(&database, "SELECT 1").is_err());

    let names: Vec<_> = bed.env().into_keys().collect();
    let expected = "ORDERLY_BROKER_URL ORDERLY_MANAGEMENT_URL \
        ORDERLY_ORDER_DATABASE_URL ORDERLY_ORDER_HTTP \
        ORDERLY_PAYMENT_DATABASE_URL ORDERLY_PAYMENT_HTTP \
        ORDERLY_STOCK_DATABASE_URL ORDERLY_STOCK_HTTP";
    assert_eq!(names.join(" "), expected);

    drop(bed);
    assert!(here.management_get(&vhost).is_err());
    assert!(here.query(&database, "SELECT 1").is_err());
}

/// Other processes read the endpoints as they were written; other accounts cannot read them at all.
fn check_the_endpoints_file(nodes: &Nodes) {
    let path = nodes.folder().join("endpoints.json");
    nodes.endpoints().write(&path).unwrap();
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
    let read: Endpoints = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(read.amqps_url("/"), nodes.endpoints().amqps_url("/"));
    assert_eq!(read.database_url("x"), nodes.endpoints().database_url("x"));
}

/// The certificate is good for `localhost` and for nothing else.
fn check_certificates(endpoints: &Endpoints) {
    let connects_as = |host: &str| {
        let ca = endpoints.ca_file.display();
        let port = endpoints.database.port;
        let user = &endpoints.database.superuser;
        let target = format!(
            "host={host} hostaddr=127.0.0.1 port={port} user={user} dbname=postgres \
             sslmode=verify-full sslrootcert={ca}"
        );
        let mut psql = Command::new("psql");
        psql.args(["-X", "-c", "SELECT 1", &target]);
        psql.env("PGPASSWORD", &endpoints.database.password).output().unwrap().status.success()
    };
    assert!(connects_as("localhost"));
    assert!(!connects_as("127.0.0.1"));
}

#[test]
fn data_outlives_restarts_and_kills() {
    // Spawned by a thread that ends at once: the nodes must not end with it.
    let mut nodes = thread::spawn(|| Nodes::start().unwrap()).join().unwrap();
    let endpoints = nodes.endpoints().clone();
    let bed = TestBed::on(&endpoints).unwrap();
    let database = bed.database("order");
    let queue = format!("/api/queues/{}/kept", bed.vhost());
    let quorum = json!({"durable": true, "arguments": {"x-queue-type": "quorum"}});
    endpoints.management_put(&queue, &quorum).unwrap();
    endpoints.query(&database, "CREATE TABLE kept AS SELECT 42 AS answer").unwrap();

    nodes.kill_broker().unwrap();
    assert!(endpoints.management_get(&queue).is_err());
    nodes.start_broker().unwrap();
    assert_eq!(endpoints.management_get(&queue).unwrap()["name"], "kept");
    nodes.restart_broker().unwrap();
    assert_eq!(endpoints.management_get(&queue).unwrap()["name"], "kept");

    nodes.kill_database().unwrap();
    assert!(endpoints.query(&database, "SELECT 1").is_err());
    nodes.start_database().unwrap();
    assert_eq!(endpoints.query(&database, "SELECT answer FROM kept").unwrap(), "42");
    nodes.restart_database().unwrap();
    assert_eq!(endpoints.query(&database, "SELECT answer FROM kept").unwrap(), "42");
}

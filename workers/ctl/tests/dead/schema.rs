//! The migration, on a database that has letters already, and what the schema forbids.

use crate::world::{POISON, World};

const FIRST: &str = include_str!("../../../../migrations/runtime/V1__bookkeeping.sql");
const SECOND: &str = include_str!("../../../../migrations/runtime/V2__dead_letters.sql");

#[test]
fn letters_from_before_are_open_and_get_their_group_when_somebody_looks() {
    let world = World::new();
    world.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    world.sql(FIRST);
    let id = world.file(&POISON);
    assert!(world.fail(1, &["dead", "list"]).contains("run `orderly migrate`"));
    world.sql(SECOND);
    let letter = &world.lines(&["dead", "list"])[0];
    assert_eq!((&letter["id"], &letter["status"]), (&id.into(), &"open".into()));
    assert_eq!(letter["group"].as_str().unwrap().len(), 12);
}

#[test]
fn nobody_rewrites_the_audit_trail() {
    let world = World::new();
    let id = world.file(&POISON);
    world.succeed(&["dead", "archive", &id]);
    let database = world.bed.database("order");
    for change in [
        "UPDATE dead_actions SET operator = 'x'",
        "DELETE FROM dead_actions",
        "TRUNCATE dead_actions",
    ] {
        let error = world.bed.endpoints().query(&database, change).unwrap_err();
        assert!(format!("{error:#}").contains("only ever added to"), "{error:#}");
    }
    let wrong = "UPDATE dead_letters SET status = 'lost'";
    assert!(world.bed.endpoints().query(&database, wrong).is_err());
}

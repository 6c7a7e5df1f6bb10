//! SQL as the superuser, through `psql`: enough to make and drop databases without a driver.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::endpoints::{DatabaseEndpoint, Endpoints};

impl Endpoints {
    /// Makes the database `name`.
    pub fn create_database(&self, name: &str) -> Result<()> {
        self.create_databases(&[name])
    }

    /// Makes several databases over one connection.
    pub fn create_databases(&self, names: &[&str]) -> Result<()> {
        self.each_database("CREATE DATABASE {}", names)
    }

    /// Drops the database `name`, if it is there, and whoever is connected to it.
    pub fn drop_database(&self, name: &str) -> Result<()> {
        self.drop_databases(&[name])
    }

    /// Drops several databases over one connection.
    pub fn drop_databases(&self, names: &[&str]) -> Result<()> {
        self.each_database("DROP DATABASE IF EXISTS {} WITH (FORCE)", names)
    }

    fn each_database(&self, statement: &str, names: &[&str]) -> Result<()> {
        let statements: Vec<_> =
            names.iter().map(|name| statement.replace("{}", &quote(name))).collect();
        self.database.execute("postgres", &statements).map(drop)
    }

    /// Runs `statement` in `database` and returns its rows, one a line, their columns parted by `|`.
    pub fn query(&self, database: &str, statement: &str) -> Result<String> {
        self.database.execute(database, &[statement.to_owned()])
    }
}

impl DatabaseEndpoint {
    /// Runs each statement on its own, outside of a transaction, and stops at the first error.
    pub(crate) fn execute(&self, database: &str, statements: &[String]) -> Result<String> {
        let mut psql = Command::new(program("psql")?);
        psql.args(["--no-psqlrc", "--no-password", "--quiet", "--no-align", "--tuples-only"])
            .args(["--set", "ON_ERROR_STOP=1"])
            .args(["--host", &self.host, "--port", &self.port.to_string()])
            .args(["--username", &self.superuser, "--dbname", database])
            .args(statements.iter().flat_map(|statement| ["--command", statement]))
            // PG* of whoever started us must not lead elsewhere.
            .env_clear()
            .env("PGSSLMODE", "disable")
            .env("PGPASSWORD", &self.password)
            .env("PGCONNECT_TIMEOUT", "5");
        let output = psql.output().context("cannot start `psql`")?;
        if !output.status.success() {
            bail!("PostgreSQL: {}", String::from_utf8_lossy(&output.stderr).trim_end());
        }
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }
}

/// The path of a program of the newest PostgreSQL here.
///
/// Debian keeps the server's programs out of `PATH`, and its `/usr/bin/psql` is a slow wrapper.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions
        .filter_map(|version| {
            let number: u32 = version.file_name().to_str()?.parse().ok()?;
            let program = version.path().join("bin").join(name);
            program.is_file().then_some((number, program))
        })
        .max()
        .map(|(_, program)| program)
        .with_context(|| format!("PostgreSQL's `{name}` is not installed"))
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_a_name() {
        assert_eq!(quote("a\" WITH OWNER = eve; --"), "\"a\"\" WITH OWNER = eve; --\"");
    }
}

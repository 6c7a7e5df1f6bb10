//! The README, held to its word: its commands are run, and what it names exists.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use orderly_e2e::{System, eventually, program};

fn readme() -> Result<String> {
    Ok(std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md"))?)
}

/// The first shell block under a heading, command by command; a command may span lines.
fn commands(heading: &str) -> Result<Vec<String>> {
    let text = readme()?;
    let section = text.split(&format!("## {heading}\n")).nth(1).context("no such heading")?;
    let block = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    let mut commands: Vec<String> = Vec::new();
    for line in block.context("no block")?.lines().filter(|line| !line.is_empty()) {
        let is_continued = commands.last().is_some_and(|last| last.matches('\'').count() % 2 == 1);
        match commands.last_mut() {
            Some(last) if is_continued => {
                last.push('\n');
                last.push_str(line);
            }
            _ => commands.push(line.to_owned()),
        }
    }
    Ok(commands)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_message_flows_as_the_readme_says() -> Result<()> {
    let mut system = System::start().await?;
    let path = format!("{}:{}", program("")?.display(), std::env::var("PATH")?);
    let commands = commands("Publish a first message")?;
    assert_eq!(commands.first().map(|c| c.starts_with(". .orderly/env")), Some(true));
    let mut said = String::new();
    for command in &commands[1..] {
        said += &eventually(&format!("success of: {command}"), async || {
            let mut shell = Command::new("bash");
            shell.args(["-euc", command]).env("PATH", &path).env_remove("ORDERLY_TEST_NODES");
            let output = shell.envs(system.environment()).output()?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            // A reader is slower than a machine: what looks too early looks again.
            let is_early = match command {
                _ if command.contains("order show") => !said.contains("confirmed"),
                _ if command.contains("payment show") => !said.contains("captured"),
                _ => false,
            };
            Ok((output.status.success() && !is_early).then_some(said))
        })
        .await?;
    }
    for word in ["confirmed", "lamp", "25.00 GBP"] {
        assert!(said.contains(word), "{word:?} is not in:\n{said}");
    }
    let metrics = system.workers()[0].get("/metrics")?;
    let text = readme()?;
    let named = text.split('`').filter_map(|word| word.strip_prefix("orderly_"));
    for name in named.map(|name| name.split('{').next().unwrap_or_default()) {
        assert!(metrics.contains(&format!("orderly_{name}")), "orderly_{name} is no metric");
    }
    Ok(())
}

#[test]
fn every_path_that_the_texts_name_exists() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let texts = ["README.md", "docs/architecture.md", "docs/dead-letters.md"];
    let runbooks = ["README", "orders", "queues", "workers", "broker"];
    let runbooks = runbooks.map(|name| format!("docs/runbooks/{name}.md"));
    for text in texts.iter().copied().chain(runbooks.iter().map(String::as_str)) {
        let content = std::fs::read_to_string(root.join(text))?;
        let quoted = content.split('`').skip(1).step_by(2);
        let folders =
            ["contracts/", "workers/", "migrations/", "docs/", "deploy/", "scripts/", "./scripts/"];
        // A command is quoted with its arguments.
        let words = quoted.filter_map(|quote| quote.split_whitespace().next());
        for path in words.filter(|word| folders.iter().any(|start| word.starts_with(start))) {
            assert!(root.join(path).exists(), "{text} names {path}, which does not exist");
        }
    }
    Ok(())
}

//! The runbooks: one for every alert, and commands that the system understands.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use orderly_e2e::{Message, System, eventually, place, program};

use crate::shipped::{alerts, files, path, text};

/// A page of runbooks by its headings of the second level: what stands below each.
fn sections(page: &str) -> Result<BTreeMap<String, String>> {
    let page = fs::read_to_string(path(page)).with_context(|| page.to_owned())?;
    let sections = page.split("\n## ").skip(1);
    Ok(sections
        .filter_map(|section| section.split_once('\n'))
        .map(|(heading, body)| (heading.trim().to_owned(), body.to_owned()))
        .collect())
}

#[test]
fn every_alert_leads_to_a_runbook_and_every_runbook_is_for_an_alert() -> Result<()> {
    let mut written = BTreeMap::new();
    for file in files("docs/runbooks", "md")? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let page = format!("docs/runbooks/{name}");
        let sections = sections(&page)?.into_iter();
        written.extend(sections.map(|(heading, body)| {
            (format!("{page}#{}", heading.to_lowercase()), (heading, body))
        }));
    }
    for alert in alerts()? {
        let (name, link) = (text(&alert["alert"]), text(&alert["annotations"]["runbook_url"]));
        let Some((heading, body)) = written.remove(link) else {
            panic!("{name}: there is no {link}");
        };
        assert_eq!(heading, name);
        for part in ["**What it means.**", "**How to look.**", "**What to do.**"] {
            assert!(body.contains(part), "{link} lacks {part}");
        }
    }
    written.retain(|_, (heading, _)| heading.starts_with("Orderly"));
    assert!(written.is_empty(), "runbooks for no alert: {:?}", written.keys());
    Ok(())
}

/// The commands of `orderly` in all runbooks, without what is said about them.
fn commands() -> Result<BTreeSet<String>> {
    let mut commands = BTreeSet::new();
    for file in files("docs/runbooks", "md")? {
        let page = fs::read_to_string(file)?;
        for block in page.split("```sh\n").skip(1) {
            let block = block.split("```").next().unwrap_or_default();
            let lines =
                block.lines().map(|line| line.split(" # ").next().unwrap_or_default().trim());
            commands.extend(lines.filter(|it| it.starts_with("orderly ")).map(str::to_owned));
        }
    }
    Ok(commands)
}

/// A check may find something and say so by its exit status; arguments that are wrong end with 2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_runbooks_are_understood() -> Result<()> {
    let system = System::start().await?;
    // The order that the runbooks speak of, and a letter.
    system.client.stock_up(&[("lamp", 10)]).await?;
    system.databases.item_reaches("lamp", 10, 0).await?;
    let rubbish = Message::raw("order.place.v1", "rubbish", "{");
    system.client.publish([rubbish, place("o-4711", "lamp", 2, "tok_visa")]).await?;
    system.databases.reaches("o-4711", "confirmed").await?;
    eventually("the letter to be filed", async || {
        let letters = system.databases.letters(&system.databases.order).await?;
        Ok((letters.len() == 1).then_some(()))
    })
    .await?;
    let path = format!("{}:{}", program("")?.display(), std::env::var("PATH")?);
    let commands = commands()?;
    assert!(commands.len() >= 15, "{commands:?}");
    let mut refused = Vec::new();
    for command in commands {
        let mut shell = Command::new("bash");
        shell.args(["-euc", &command]).env("PATH", &path).env_remove("ORDERLY_TEST_NODES");
        let output = shell.envs(system.environment()).output()?;
        let is_check = ["orderly doctor", "orderly audit"].iter().any(|it| command.starts_with(it));
        let is_finding = is_check && output.status.code() == Some(1);
        if !output.status.success() && !is_finding {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            refused.push(format!("`{command}` ended with {}: {said}", output.status));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    Ok(())
}

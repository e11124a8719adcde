//! What a platform operator does, from the chart to the last tenant, with our images on a real node: nothing here answers in
//! the place of anything.

mod people;
mod platform;

use std::process::ExitStatus;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{ScopedJoinHandle, scope, sleep};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use cartera_cluster::{Cluster, NoNode, skipped};
use people::Phone;
use platform::{Platform, TENANTS};

/// How long anything may take on a machine that has much else to do.
const PATIENCE: &str = "--timeout=240s";

#[test]
#[ignore = "needs a cluster: make cluster-test"]
fn a_tenant_is_sold_used_upgraded_and_ended() -> Result<()> {
    let cluster = Cluster::from_env_or_start()?;
    let node = match cluster.real_node() {
        Ok(node) => node,
        Err(NoNode::Skip(reason)) => {
            skipped("journey", &reason);
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let platform = Platform::install(&cluster, &node)?;
    platform.sell("acme")?;
    platform.sell("beta")?;
    let acme = platform.administrator("acme")?;
    let beta = platform.administrator("beta")?;
    let phone = Phone::enrol(&node, &acme)?;
    phone.sync()?;
    a_device_of_another_tenant_is_refused(&platform, &beta)?;
    nothing_acknowledged_is_lost(&platform, &phone)?;
    another_operator_restarts_no_tenant(&platform)?;
    a_roll_out_brings_the_next_image(&platform, &phone)?;
    a_broken_image_stops_the_roll_out(&platform)?;
    an_image_that_is_not_there_is_said(&platform)?;
    the_documents_show(&platform)?;
    a_protected_tenant_is_not_deleted(&platform)?;
    tenants_end_in_order(&platform)
}

/// Each tenant knows its own devices alone.
fn a_device_of_another_tenant_is_refused(platform: &Platform, beta: &people::Administrator) -> Result<()> {
    let token = beta.enrol_by_rest(platform)?;
    ensure!(platform.status_of("beta", &token)? == 200, "it is a device of beta");
    ensure!(platform.status_of("acme", &token)? == 401, "and none of acme");
    Ok(())
}

/// Somebody works on, one sync after the other, while the server is killed and the container runtime of its node restarts.
fn nothing_acknowledged_is_lost(platform: &Platform, phone: &Phone) -> Result<()> {
    let made = AtomicUsize::new(0);
    let told = scope(|scope| -> Result<Vec<String>> {
        let working = scope.spawn(|| work(phone, &made));
        wait_for_accounts(&made, 4, &working);
        platform.kill_server("acme")?;
        wait_for_accounts(&made, 12, &working);
        platform.node.restart_container_runtime()?;
        working.join().map_err(|_| anyhow!("whoever worked panicked"))?
    })?;
    platform.wait_ready("acme")?;
    phone.sync_at_last()?;
    let second = Phone::enrol(platform.node, phone.owner())?;
    second.sync()?;
    let there = second.accounts()?;
    ensure!(told.iter().all(|name| there.contains(name)), "{told:?} was acknowledged, and {there:?} is there");
    let count = there.iter().filter(|name| name.starts_with("Account ")).count();
    ensure!(count == ACCOUNTS, "all of it, once: {there:?}");
    Ok(())
}

/// Accounts that somebody makes meanwhile.
const ACCOUNTS: usize = 20;

/// Makes accounts and syncs after each; those that the server has acknowledged.
fn work(phone: &Phone, made: &AtomicUsize) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for number in 0..ACCOUNTS {
        phone.make_account(&format!("Account {number}"))?;
        made.fetch_add(1, Ordering::SeqCst);
        // Where nobody answers, it waits on the phone.
        if phone.sync().is_ok() {
            told.clone_from(&phone.accounts()?);
        }
    }
    Ok(told)
}

fn wait_for_accounts<T>(made: &AtomicUsize, count: usize, working: &ScopedJoinHandle<T>) {
    while made.load(Ordering::SeqCst) < count && !working.is_finished() {
        sleep(Duration::from_millis(10));
    }
}

/// A tenant whose image nobody has says so, and what to do.
fn an_image_that_is_not_there_is_said(platform: &Platform) -> Result<()> {
    let nowhere = format!("registry.invalid/cartera@sha256:{}", "0".repeat(64));
    platform.order("gamma", &format!("version: {{channel: pinned, image: '{nowhere}'}}"))?;
    let reason = "jsonpath={.status.conditions[?(@.type=='WorkloadReady')].reason}=ImageNotPulled";
    let _ = platform.kubectl(["wait", &format!("--for={reason}"), "tenant/gamma", TENANTS, PATIENCE])?;
    let said = platform.get("tenant/gamma", "{.status.conditions[?(@.type=='Ready')].message}")?;
    ensure!(said.contains(&nowhere) && said.contains("correct version.image"), "{said}");
    platform.end("gamma")
}

fn another_operator_restarts_no_tenant(platform: &Platform) -> Result<()> {
    let before = platform.server_of("acme")?;
    platform.upgrade_operator()?;
    platform.wait_ready("acme")?;
    ensure!(platform.server_of("acme")? == before, "the pod is the one that it was");
    Ok(())
}

fn a_roll_out_brings_the_next_image(platform: &Platform, phone: &Phone) -> Result<()> {
    let next = platform.next_image()?;
    platform.channel(&next)?;
    platform.roll_out("spring", "channel: stable", "[{name: first, count: 1, soak: 2s}, {name: rest, soak: 1s}]")?;
    platform.wait("fleetrollout/spring", "Succeeded")?;
    for tenant in ["acme", "beta"] {
        ensure!(platform.image_of(tenant)? == next, "{tenant} runs {}", platform.image_of(tenant)?);
    }
    phone.sync_at_last()
}

/// It stops at the first tenant: the second is not touched, and a newer roll-out puts the first right.
fn a_broken_image_stops_the_roll_out(platform: &Platform) -> Result<()> {
    let (good, broken) = (platform.image_of("beta")?, platform.broken_image()?);
    let waves = "[{name: first, count: 1, soak: 1s}, {name: rest, soak: 1s}]";
    platform.roll_out("summer", &format!("image: '{broken}'"), waves)?;
    platform.wait("fleetrollout/summer", "Paused")?;
    let failures = platform.get("fleetrollout/summer", "{.status.failures}")?;
    ensure!(failures.contains("acme") && failures.contains("not ready within"), "{failures}");
    ensure!(platform.image_of("beta")? == good, "the second wave never began");
    let ready = platform.get("tenant/acme", "{.status.conditions[?(@.type=='Ready')].message}")?;
    ensure!(ready.contains("kubectl logs"), "it says where to look: {ready}");
    platform.roll_out("autumn", &format!("image: '{good}'"), waves)?;
    platform.wait("fleetrollout/autumn", "Succeeded")?;
    platform.wait_ready("acme")
}

/// What README and `docs/operations.md` show is what these print, times and names of things aside.
fn the_documents_show(platform: &Platform) -> Result<()> {
    let listed = platform.kubectl(["get", "tenants", TENANTS])?;
    let described = platform.kubectl(["describe", "tenant", "acme", TENANTS])?;
    let explained = platform.kubectl(["explain", "tenant.spec.deletion"])?;
    let events = platform.kubectl(["get", "events", TENANTS, "--sort-by=.metadata.creationTimestamp"])?;
    platform::keep_for_docs(&[&listed, &described, &explained, &events])?;

    let (readme, operations) = (platform::document("README.md")?, platform::document("docs/operations.md")?);
    let header = listed.lines().next().context("a header")?;
    ensure!(readme.shows(header) && operations.shows(header), "the documents do not show {header}");
    let conditions: Vec<&str> = described.lines().filter_map(|line| line.trim().strip_prefix("Type: ")).collect();
    ensure!(conditions.len() > 10, "{described}");
    for condition in conditions {
        ensure!(operations.names(condition.trim()), "no row of the table of conditions is about {condition}");
    }
    for line in explained.lines() {
        ensure!(operations.shows(line), "docs/operations.md does not show this of kubectl explain: {line}");
    }
    for event in ["TenantsFailed", "FailureBudget"] {
        ensure!(events.contains(event) && operations.names(event), "{event} is shown in the documents and happens");
    }
    Ok(())
}

fn a_protected_tenant_is_not_deleted(platform: &Platform) -> Result<()> {
    let refused = platform.kubectl(["delete", "tenant", "acme", TENANTS]).err().context("it is protected")?;
    ensure!(refused.to_string().contains("deletion"), "{refused}");
    let namespace = platform.namespace("acme")?;
    let refused = platform.kubectl(["delete", "namespace", &namespace]).err().context("it is protected")?;
    ensure!(refused.to_string().contains("cartera.dev/allow-deletion"), "{refused}");
    platform.wait_ready("acme")
}

/// The volume stays by policy; the operator goes after the last tenant, not before.
fn tenants_end_in_order(platform: &Platform) -> Result<()> {
    let namespace = platform.namespace("acme")?;
    let volume = platform.kubectl([
        "get",
        "pvc",
        "cartera-data",
        "--namespace",
        &namespace,
        "--output=jsonpath={.spec.volumeName}",
    ])?;
    platform.end("acme")?;
    let gone = platform.kubectl(["get", "namespace", &namespace]);
    ensure!(gone.is_err(), "the namespace went with it");
    let policy = platform.kubectl(["get", "pv", &volume, "--output=jsonpath={.spec.persistentVolumeReclaimPolicy}"])?;
    ensure!(policy == "Retain", "the volume stays: {policy}");
    let refused = platform.uninstall().err().context("beta is still there")?;
    ensure!(format!("{refused:#}").contains("failed"), "{refused:#}");
    platform.end("beta")?;
    platform.uninstall()?;
    Ok(())
}

/// Whether a command ended well.
fn ended_well(status: ExitStatus, what: &str, said: &[u8]) -> Result<()> {
    ensure!(status.success(), "{what} failed: {}", String::from_utf8_lossy(said).trim());
    Ok(())
}

//! What a platform operator does, from the chart to the last tenant, with our images on a real node: nothing here answers in
//! the place of anything.

mod people;
mod platform;

use std::process::ExitStatus;

use anyhow::{Context, Result, ensure};
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

/// Somebody works on while the server is killed and the container runtime of its node restarts.
fn nothing_acknowledged_is_lost(platform: &Platform, phone: &Phone) -> Result<()> {
    let mut told = Vec::new();
    for number in 0..12 {
        let name = format!("Account {number}");
        phone.make_account(&name)?;
        match number {
            3 => platform.kill_server("acme")?,
            7 => platform.node.restart_container_runtime()?,
            _ => {}
        }
        // Where nobody answers, it waits on the phone.
        if phone.sync().is_ok() {
            told.clone_from(&phone.accounts()?);
        }
    }
    platform.wait_ready("acme")?;
    phone.sync_at_last()?;
    let second = Phone::enrol(platform.node, phone.owner())?;
    second.sync()?;
    let there = second.accounts()?;
    ensure!(told.iter().all(|name| there.contains(name)), "{told:?} was acknowledged, and {there:?} is there");
    ensure!(there.iter().filter(|name| name.starts_with("Account ")).count() == 12, "all of it, once: {there:?}");
    Ok(())
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

/// What README and `docs/operations.md` show is what these print.
fn the_documents_show(platform: &Platform) -> Result<()> {
    let listed = platform.kubectl(["get", "tenants", TENANTS])?;
    ensure!(listed.contains("NAME") && listed.contains("PLAN") && listed.contains("REASON"), "{listed}");
    let described = platform.kubectl(["describe", "tenant", "acme", TENANTS])?;
    ensure!(described.contains("Conditions:") && described.contains("Events:"), "{described}");
    let explained = platform.kubectl(["explain", "tenant.spec.deletion"])?;
    ensure!(explained.contains("Whether deleting is refused"), "{explained}");
    let events = platform.kubectl(["get", "events", TENANTS, "--sort-by=.metadata.creationTimestamp"])?;
    ensure!(events.contains("fleetrollout/summer") && events.contains("FailureBudget"), "{events}");
    platform::keep_for_docs(&[&listed, &described, &explained, &events])
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

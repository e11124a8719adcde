//! `cartera user`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Context;
use super::local_api::LocalApi;
use super::output::{Answer, Failure};
use super::secret::read_new_password;

/// Adds and lists the people who sign in, and sets their passwords
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  cartera user add ana@example.com --role admin --data ./cartera-data")]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Add(Add),
    List(List),
    Password(Password),
}

/// Adds a person who signs in.
#[derive(Args, Debug)]
#[command(
    about = "Adds a person who signs in; the password is read from CARTERA_PASSWORD or standard input",
    long_about = "Adds a person who signs in; the password is read from CARTERA_PASSWORD or standard input.\n\nA user record of the same name without an e-mail address, such as an imported sales agent, becomes hers.",
    after_help = "Example:\n  echo 'a long password' | cartera user add ana@example.com --role sales_rep --team Norte --name 'Ana Ruiz'"
)]
struct Add {
    /// What she signs in with.
    email: String,
    #[arg(long, help = "The key of her role: admin, sales_manager, sales_rep")]
    role: String,
    /// The name of her team.
    #[arg(long)]
    team: Option<String>,
    /// Her full name; the part of the address before the @ when left out.
    #[arg(long)]
    name: Option<String>,
}

/// Lists everybody, with who can sign in
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  cartera user list --json")]
struct List {}

/// Sets a password.
#[derive(Args, Debug)]
#[command(about = "Sets a password and ends the user's sessions; it is read from CARTERA_PASSWORD or standard input")]
#[command(after_help = "Example:\n  echo 'a long password' | cartera user password ana@example.com")]
struct Password {
    /// What she signs in with.
    email: String,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Answer, Failure> {
    // Asked for before the data is opened: nobody should wait for a person.
    let password = match &arguments.action {
        Action::Add(_) | Action::Password(_) => Some(read_new_password()?),
        Action::List(_) => None,
    };
    let api = LocalApi::open(context).await?;
    let done = match &arguments.action {
        Action::Add(person) => add(&api, person, password.as_deref()).await,
        Action::List(_) => list(&api).await,
        Action::Password(of) => set_password(&api, &of.email, password.as_deref()).await,
    };
    api.close().await;
    done
}

async fn add(api: &LocalApi, person: &Add, password: Option<&str>) -> Result<Answer, Failure> {
    let mut body = json!({ "email": person.email, "role": person.role, "password": password });
    for (key, value) in [("team", &person.team), ("name", &person.name)] {
        if let Some(value) = value {
            body[key] = json!(value);
        }
    }
    let added: Value = api.post("/api/v1/users", &body).await?;
    let text = match added["created"].as_bool() {
        Some(false) => format!("{} signs in as the user that was there already.", person.email),
        _ => format!("{} was added.", person.email),
    };
    Ok(Answer::new(added, text))
}

async fn list(api: &LocalApi) -> Result<Answer, Failure> {
    let listed: Value = api.get("/api/v1/users").await?;
    let users = listed["users"].as_array().map_or(&[][..], Vec::as_slice);
    let text = |user: &Value, key: &str| user[key].as_str().unwrap_or("-").to_owned();
    let mut lines = vec![format!("{:<30} {:<34} {:<15} SIGNS IN", "NAME", "E-MAIL", "ROLE")];
    lines.extend(users.iter().map(|user| {
        let signs_in = if user["signs_in"] == true { "yes" } else { "no" };
        format!("{:<30} {:<34} {:<15} {signs_in}", text(user, "name"), text(user, "email"), text(user, "role"))
    }));
    Ok(Answer::new(&listed, lines.join("\n")))
}

async fn set_password(api: &LocalApi, email: &str, password: Option<&str>) -> Result<Answer, Failure> {
    let listed: Value = api.get("/api/v1/users").await?;
    let users = listed["users"].as_array().map_or(&[][..], Vec::as_slice);
    let is_meant = |user: &&Value| user["email"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(email.trim()));
    let Some(id) = users.iter().find(is_meant).and_then(|user| user["id"].as_str()) else {
        return Err(Failure::new(
            "not-found",
            "There is nothing here that you may see.",
            format!("there is no user with the address {email}; `cartera user list` shows all"),
        ));
    };
    let body = json!({ "password": password });
    let _: Value = api.post(&format!("/api/v1/users/{id}/password"), &body).await?;
    Ok(Answer::new(json!({ "user": id, "email": email }), format!("The password of {email} was set.")))
}

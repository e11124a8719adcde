use serde_json::{Value, json};

use crate::{Person, Server};

/// The administrator that every server starts with.
pub const ADMIN: &str = "alba@puertos.example";

/// Everybody's.
pub const PASSWORD: &str = "una contraseña de pruebas";

/// A small company: two territories, Norte with the teams of Bilbao and Oviedo, Sur with that of Sevilla.
#[derive(Debug)]
pub struct Company {
    /// The administrator, signed in.
    pub admin: Person,
    /// The territory of Bilbao and Oviedo.
    pub norte: String,
    /// The territory of Sevilla.
    pub sur: String,
    /// The team of Ana, Berta and Marta.
    pub bilbao: String,
    /// The team of Óscar.
    pub oviedo: String,
    /// The team of Sara.
    pub sevilla: String,
    /// An account that is nobody's, and so everybody's.
    pub open_account: String,
}

impl Company {
    /// Sells for Bilbao.
    pub const ANA: &str = "ana@puertos.example";
    /// Sells for Bilbao too.
    pub const BERTA: &str = "berta@puertos.example";
    /// Manages Bilbao.
    pub const MARTA: &str = "marta@puertos.example";
    /// Sells for Oviedo.
    pub const OSCAR: &str = "oscar@puertos.example";
    /// Sells for Sevilla.
    pub const SARA: &str = "sara@puertos.example";

    /// Sets the company up on a new server, through its API.
    #[track_caller]
    #[must_use]
    pub fn found(server: &Server) -> Self {
        let admin = server.person(ADMIN);
        let norte = admin.create("territory", &json!({"name": "Norte"}));
        let sur = admin.create("territory", &json!({"name": "Sur"}));
        let team = |name: &str, territory: &str| admin.create("team", &json!({"name": name, "territory": territory}));
        let bilbao = team("Bilbao", &norte);
        let oviedo = team("Oviedo", &norte);
        let sevilla = team("Sevilla", &sur);
        hire(&admin, Self::ANA, "Ana Ruiz", "sales_rep", "Bilbao");
        hire(&admin, Self::BERTA, "Berta Sanz", "sales_rep", "Bilbao");
        let marta = hire(&admin, Self::MARTA, "Marta Vega", "sales_manager", "Bilbao");
        hire(&admin, Self::OSCAR, "Óscar Prieto", "sales_rep", "Oviedo");
        hire(&admin, Self::SARA, "Sara Luna", "sales_rep", "Sevilla");
        admin.set("team", &bilbao, &json!({"manager": marta}));
        let open_account = admin.create("account", &json!({"name": "Astilleros Ría"}));
        admin.set("account", &open_account, &json!({"owner": null}));
        Self { admin, norte, sur, bilbao, oviedo, sevilla, open_account }
    }

    /// Fields of an opportunity at the open account, with these besides.
    #[must_use]
    pub fn deal(&self, name: &str, more: &Value) -> Value {
        let mut fields = json!({"name": name, "account": self.open_account, "close_date": "2031-03-01"});
        for (field, value) in more.as_object().into_iter().flatten() {
            fields[field] = value.clone();
        }
        fields
    }
}

#[track_caller]
fn hire(admin: &Person, email: &str, name: &str, role: &str, team: &str) -> String {
    let person = json!({"email": email, "name": name, "role": role, "team": team, "password": PASSWORD});
    let hired = admin.post("/api/v1/users", &person).ok();
    hired["user"].as_str().expect("a new user has an id").to_owned()
}

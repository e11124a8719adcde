//! Where the made-up company sells: its territories and teams, and real Spanish cities with their postcodes.

use rand::RngExt;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};

use super::chance::Chance;

/// A sales territory: what a manager is responsible for.
pub struct TerritoryPlan {
    /// What people call it.
    pub name: &'static str,
    /// Its teams.
    pub teams: [TeamPlan; 2],
}

/// A team of two representatives.
pub struct TeamPlan {
    /// What people call it.
    pub name: &'static str,
    /// The cities that it visits.
    pub cities: &'static [City],
}

/// A city with the first and the last of its postcodes and its centre in hundredths of a degree.
pub struct City {
    pub name: &'static str,
    pub province: &'static str,
    postcodes: (u32, u32),
    centre: (i64, i64),
    /// How many customers it has in comparison with others.
    pub weight: u32,
}

const fn city(
    name: &'static str,
    province: &'static str,
    postcodes: (u32, u32),
    centre: (i64, i64),
    weight: u32,
) -> City {
    City { name, province, postcodes, centre, weight }
}

/// The three territories.
pub const TERRITORIES: [TerritoryPlan; 3] = [
    TerritoryPlan {
        name: "Norte",
        teams: [
            TeamPlan { name: "Galicia y Asturias", cities: GALICIA_ASTURIAS },
            TeamPlan { name: "Cantábrico y Ebro", cities: CANTABRICO_EBRO },
        ],
    },
    TerritoryPlan {
        name: "Centro y Sur",
        teams: [
            TeamPlan { name: "Madrid y las Castillas", cities: MADRID_CASTILLAS },
            TeamPlan { name: "Andalucía y Canarias", cities: ANDALUCIA_CANARIAS },
        ],
    },
    TerritoryPlan {
        name: "Mediterráneo",
        teams: [
            TeamPlan { name: "Cataluña y Baleares", cities: CATALUNA_BALEARES },
            TeamPlan { name: "Comunitat Valenciana y Murcia", cities: VALENCIA_MURCIA },
        ],
    },
];

#[rustfmt::skip]
const GALICIA_ASTURIAS: &[City] = &[
    city("A Coruña", "A Coruña", (15001, 15011), (4337, -840), 8),
    city("Santiago de Compostela", "A Coruña", (15701, 15707), (4288, -854), 6),
    city("Ferrol", "A Coruña", (15401, 15406), (4348, -823), 2),
    city("Vigo", "Pontevedra", (36201, 36216), (4223, -872), 9),
    city("Pontevedra", "Pontevedra", (36001, 36005), (4243, -864), 3),
    city("Lugo", "Lugo", (27001, 27004), (4301, -756), 3),
    city("Ourense", "Ourense", (32001, 32005), (4234, -786), 3),
    city("Oviedo", "Asturias", (33001, 33013), (4336, -585), 6),
    city("Gijón", "Asturias", (33201, 33213), (4353, -566), 7),
    city("Avilés", "Asturias", (33401, 33403), (4356, -592), 2),
    city("León", "León", (24001, 24010), (4260, -557), 4),
];

#[rustfmt::skip]
const CANTABRICO_EBRO: &[City] = &[
    city("Bilbao", "Bizkaia", (48001, 48015), (4326, -293), 10),
    city("Barakaldo", "Bizkaia", (48901, 48903), (4330, -299), 3),
    city("Donostia-San Sebastián", "Gipuzkoa", (20001, 20018), (4332, -198), 8),
    city("Irun", "Gipuzkoa", (20301, 20305), (4334, -179), 2),
    city("Vitoria-Gasteiz", "Araba/Álava", (1001, 1015), (4285, -267), 6),
    city("Pamplona", "Navarra", (31001, 31016), (4281, -164), 6),
    city("Santander", "Cantabria", (39001, 39012), (4346, -381), 6),
    city("Logroño", "La Rioja", (26001, 26009), (4247, -245), 5),
    city("Burgos", "Burgos", (9001, 9007), (4234, -370), 4),
    city("Zaragoza", "Zaragoza", (50001, 50022), (4165, -88), 11),
    city("Huesca", "Huesca", (22001, 22006), (4214, -41), 2),
];

#[rustfmt::skip]
const MADRID_CASTILLAS: &[City] = &[
    city("Madrid", "Madrid", (28001, 28055), (4042, -370), 34),
    city("Alcalá de Henares", "Madrid", (28801, 28807), (4048, -336), 4),
    city("Getafe", "Madrid", (28901, 28909), (4031, -373), 4),
    city("Móstoles", "Madrid", (28931, 28939), (4032, -387), 3),
    city("Guadalajara", "Guadalajara", (19001, 19005), (4063, -317), 2),
    city("Toledo", "Toledo", (45001, 45009), (3986, -403), 4),
    city("Ciudad Real", "Ciudad Real", (13001, 13005), (3899, -393), 2),
    city("Albacete", "Albacete", (2001, 2008), (3899, -186), 3),
    city("Cuenca", "Cuenca", (16001, 16004), (4007, -214), 2),
    city("Valladolid", "Valladolid", (47001, 47016), (4165, -473), 6),
    city("Salamanca", "Salamanca", (37001, 37008), (4097, -566), 5),
    city("Segovia", "Segovia", (40001, 40006), (4094, -411), 3),
    city("Ávila", "Ávila", (5001, 5006), (4066, -470), 2),
];

#[rustfmt::skip]
const ANDALUCIA_CANARIAS: &[City] = &[
    city("Sevilla", "Sevilla", (41001, 41020), (3739, -599), 13),
    city("Málaga", "Málaga", (29001, 29018), (3672, -442), 11),
    city("Marbella", "Málaga", (29601, 29604), (3651, -488), 6),
    city("Granada", "Granada", (18001, 18016), (3718, -360), 6),
    city("Córdoba", "Córdoba", (14001, 14014), (3788, -478), 5),
    city("Cádiz", "Cádiz", (11001, 11012), (3653, -629), 4),
    city("Jerez de la Frontera", "Cádiz", (11401, 11408), (3668, -614), 3),
    city("Almería", "Almería", (4001, 4009), (3684, -246), 4),
    city("Huelva", "Huelva", (21001, 21007), (3726, -695), 3),
    city("Jaén", "Jaén", (23001, 23009), (3777, -379), 3),
    city("Badajoz", "Badajoz", (6001, 6012), (3888, -697), 3),
    city("Las Palmas de Gran Canaria", "Las Palmas", (35001, 35020), (2812, -1543), 6),
    city("Santa Cruz de Tenerife", "Santa Cruz de Tenerife", (38001, 38010), (2847, -1625), 5),
];

#[rustfmt::skip]
const CATALUNA_BALEARES: &[City] = &[
    city("Barcelona", "Barcelona", (8001, 8042), (4139, 217), 30),
    city("Terrassa", "Barcelona", (8221, 8228), (4156, 201), 4),
    city("Sabadell", "Barcelona", (8201, 8208), (4155, 211), 4),
    city("Badalona", "Barcelona", (8911, 8918), (4145, 225), 3),
    city("Mataró", "Barcelona", (8301, 8304), (4154, 245), 3),
    city("Girona", "Girona", (17001, 17007), (4198, 282), 5),
    city("Tarragona", "Tarragona", (43001, 43008), (4112, 125), 5),
    city("Reus", "Tarragona", (43201, 43206), (4115, 111), 3),
    city("Lleida", "Lleida", (25001, 25008), (4162, 62), 3),
    city("Palma", "Illes Balears", (7001, 7015), (3957, 265), 10),
];

#[rustfmt::skip]
const VALENCIA_MURCIA: &[City] = &[
    city("València", "València", (46001, 46026), (3947, -38), 18),
    city("Gandia", "València", (46701, 46702), (3897, -18), 3),
    city("Castelló de la Plana", "Castelló", (12001, 12006), (3999, -4), 5),
    city("Alacant", "Alacant", (3001, 3016), (3835, -48), 8),
    city("Elx", "Alacant", (3201, 3208), (3827, -70), 4),
    city("Benidorm", "Alacant", (3501, 3503), (3854, -13), 6),
    city("Torrevieja", "Alacant", (3181, 3188), (3798, -68), 3),
    city("Murcia", "Murcia", (30001, 30012), (3799, -113), 8),
    city("Cartagena", "Murcia", (30201, 30205), (3761, -99), 4),
];

#[rustfmt::skip]
const STREETS: &[&str] = &[
    "Calle Mayor", "Calle Real", "Calle del Carmen", "Calle Nueva", "Calle San Francisco", "Calle Santa Ana",
    "Calle de la Estación", "Calle del Molino", "Calle del Olmo", "Calle Cervantes", "Calle Goya",
    "Calle Rosalía de Castro", "Calle Emilia Pardo Bazán", "Calle Severo Ochoa", "Calle de los Herreros",
    "Calle del Sol", "Calle de la Luna", "Calle Fuente Nueva", "Calle del Puerto", "Calle del Mercado",
    "Avenida de la Constitución", "Avenida de Europa", "Avenida de la Libertad", "Avenida de América",
    "Avenida del Mediterráneo", "Avenida de la Paz", "Paseo de la Alameda", "Paseo de los Álamos", "Paseo del Río",
    "Plaza de España", "Plaza del Ayuntamiento", "Plaza de la Merced", "Ronda Norte", "Ronda de Levante",
    "Travesía del Horno", "Polígono Industrial El Olivar, Calle A", "Polígono Industrial Las Eras, Calle C",
    "Polígono Industrial La Nava, Calle B", "Camino de la Vega", "Carretera Vieja",
];

/// What land lines of a province begin with.
#[rustfmt::skip]
const LAND_LINES: &[(&str, u32)] = &[
    ("A Coruña", 981), ("Pontevedra", 986), ("Lugo", 982), ("Ourense", 988), ("Asturias", 985), ("León", 987),
    ("Bizkaia", 944), ("Gipuzkoa", 943), ("Araba/Álava", 945), ("Navarra", 948), ("Cantabria", 942), ("La Rioja", 941),
    ("Burgos", 947), ("Zaragoza", 976), ("Huesca", 974), ("Madrid", 91), ("Guadalajara", 949), ("Toledo", 925),
    ("Ciudad Real", 926), ("Albacete", 967), ("Cuenca", 969), ("Valladolid", 983), ("Salamanca", 923), ("Segovia", 921),
    ("Ávila", 920), ("Sevilla", 954), ("Málaga", 952), ("Granada", 958), ("Córdoba", 957), ("Cádiz", 956),
    ("Almería", 950), ("Huelva", 959), ("Jaén", 953), ("Badajoz", 924), ("Las Palmas", 928),
    ("Santa Cruz de Tenerife", 922), ("Barcelona", 93), ("Girona", 972), ("Tarragona", 977), ("Lleida", 973),
    ("Illes Balears", 971), ("València", 963), ("Castelló", 964), ("Alacant", 965), ("Murcia", 968),
];

impl City {
    /// What its land lines begin with.
    pub fn land_line_prefix(&self) -> u32 {
        let known = LAND_LINES.iter().find(|(province, _)| *province == self.province);
        known.expect("every province is listed; a test holds that").1
    }

    /// The language, beside Spanish, in which many there like to be addressed.
    pub fn own_language(&self) -> Option<&'static str> {
        match self.province {
            "Barcelona" | "Girona" | "Tarragona" | "Lleida" | "Illes Balears" | "València" | "Castelló" => Some("ca"),
            "A Coruña" | "Pontevedra" | "Lugo" | "Ourense" => Some("gl"),
            "Bizkaia" | "Gipuzkoa" => Some("eu"),
            _ => None,
        }
    }
}

/// One of a team's cities, larger ones more often.
pub fn pick_city(cities: &'static [City], chance: &mut Chance) -> &'static City {
    cities.choose_weighted(chance, |city| city.weight).expect("no team is without cities, and no city without a weight")
}

/// An address in the city as the field kind `addresses` holds it: within two kilometres or so of its centre.
pub fn address(city: &City, chance: &mut Chance) -> Value {
    let street = STREETS.choose(chance).expect("the list is not empty");
    let jitter = |chance: &mut Chance| chance.random_range(-200_000..=200_000_i64);
    json!({
        "street": format!("{street}, {}", chance.random_range(1..=148)),
        "postcode": format!("{:05}", chance.random_range(city.postcodes.0..=city.postcodes.1)),
        "city": city.name,
        "region": city.province,
        "country": "ES",
        "lat": city.centre.0 * 100_000 + jitter(chance),
        "lon": city.centre.1 * 100_000 + jitter(chance),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postcodes_of_a_province_share_their_first_two_digits() {
        let mut prefixes = std::collections::BTreeMap::new();
        let cities = TERRITORIES.iter().flat_map(|territory| &territory.teams).flat_map(|team| team.cities);
        for city in cities {
            let prefix = *prefixes.entry(city.province).or_insert(city.postcodes.0 / 1000);
            assert_eq!((prefix, prefix), (city.postcodes.0 / 1000, city.postcodes.1 / 1000), "{}", city.name);
            assert!((91..1000).contains(&city.land_line_prefix()), "{}", city.name);
        }
        let distinct: std::collections::BTreeSet<u32> = prefixes.values().copied().collect();
        assert_eq!(distinct.len(), prefixes.len(), "two provinces share a prefix");
    }
}

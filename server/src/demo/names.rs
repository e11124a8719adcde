//! Names of made-up people and companies. No maintained crate has Spanish ones under a licence that we may use, so the
//! lists are here; English ones come from the crate `fake`.

use fake::Fake;
use fake::faker::name::raw::{FirstName, LastName};
use fake::locales::EN;
use rand::RngExt;
use rand::seq::IndexedRandom;

use super::chance::Chance;
use super::tax_id;

/// A person's name.
#[derive(Clone, Debug)]
pub struct PersonName {
    /// One or two given names.
    pub first: String,
    /// In Spain two surnames.
    pub last: String,
}

impl PersonName {
    /// The part of an e-mail address before the `@`: the given name and the first surname.
    pub fn mailbox(&self) -> String {
        let surname = self.last.split(' ').next().unwrap_or(&self.last);
        format!("{}.{}", ascii(&self.first), ascii(surname))
    }
}

#[rustfmt::skip]
const MEN: &[&str] = &[
    "Antonio", "Manuel", "José", "Francisco", "David", "Javier", "Daniel", "Carlos", "Jesús", "Alejandro", "Miguel",
    "Rafael", "Pedro", "Pablo", "Ángel", "Sergio", "Fernando", "Jorge", "Luis", "Alberto", "Álvaro", "Adrián",
    "Diego", "Raúl", "Iván", "Rubén", "Enrique", "Óscar", "Ramón", "Andrés", "Vicente", "Jaime", "Joaquín", "Víctor",
    "Eduardo", "Mario", "Marcos", "Hugo", "Roberto", "Salvador", "Ignacio", "Jordi", "Marc", "Xavier", "Iker",
    "Mikel", "Unai", "Brais", "Xoán", "Martín",
];

#[rustfmt::skip]
const WOMEN: &[&str] = &[
    "María", "Carmen", "Ana", "Isabel", "Laura", "Cristina", "Marta", "Dolores", "Lucía", "Pilar", "Elena", "Raquel",
    "Sara", "Paula", "Mercedes", "Rosario", "Beatriz", "Teresa", "Rocío", "Silvia", "Patricia", "Julia", "Montserrat",
    "Nuria", "Irene", "Andrea", "Rosa", "Alba", "Ángela", "Sonia", "Mónica", "Inmaculada", "Yolanda", "Encarnación",
    "Inés", "Claudia", "Eva", "Natalia", "Esther", "Noelia", "Lorena", "Marina", "Carolina", "Olga", "Begoña",
    "Leire", "Nerea", "Maite", "Laia", "Meritxell", "Uxía", "Sabela", "Verónica", "Consuelo",
];

/// What may follow some first names.
const PAIRS: &[(&str, &[&str])] = &[
    ("José", &["Luis", "Antonio", "María", "Manuel", "Ramón"]),
    ("Juan", &["Carlos", "José"]),
    ("Luis", &["Miguel", "Alberto"]),
    ("Miguel", &["Ángel"]),
    ("Francisco", &["Javier", "José"]),
    ("María", &["José", "Isabel", "Teresa", "Jesús", "Belén", "Ángeles", "Luisa"]),
    ("Ana", &["Belén", "Isabel", "María"]),
    ("Rosa", &["María", "Ana"]),
];

#[rustfmt::skip]
const SURNAMES: &[&str] = &[
    "García", "Rodríguez", "González", "Fernández", "López", "Martínez", "Sánchez", "Pérez", "Gómez", "Martín",
    "Jiménez", "Ruiz", "Hernández", "Díaz", "Moreno", "Muñoz", "Álvarez", "Romero", "Alonso", "Gutiérrez", "Navarro",
    "Torres", "Domínguez", "Vázquez", "Ramos", "Gil", "Ramírez", "Serrano", "Blanco", "Molina", "Morales", "Suárez",
    "Ortega", "Delgado", "Castro", "Ortiz", "Rubio", "Marín", "Sanz", "Núñez", "Iglesias", "Medina", "Garrido",
    "Cortés", "Castillo", "Santos", "Lozano", "Guerrero", "Cano", "Prieto", "Méndez", "Cruz", "Calvo", "Gallego",
    "Vidal", "León", "Herrera", "Márquez", "Peña", "Flores", "Cabrera", "Campos", "Vega", "Fuentes", "Carrasco",
    "Díez", "Reyes", "Caballero", "Nieto", "Aguilar", "Pascual", "Santana", "Herrero", "Montero", "Lorenzo",
    "Hidalgo", "Giménez", "Ibáñez", "Ferrer", "Durán", "Santiago", "Benítez", "Mora", "Vicente", "Vargas", "Arias",
    "Carmona", "Crespo", "Román", "Pastor", "Soto", "Sáez", "Velasco", "Moya", "Soler", "Parra", "Esteban", "Bravo",
    "Gallardo", "Rojas", "Pardo", "Merino", "Franco", "Espinosa", "Izquierdo", "Lara", "Rivas", "Silva", "Rivera",
    "Casado", "Arroyo", "Redondo", "Camacho", "Rey", "Vera", "Otero", "Luque", "Galán", "Montes", "Ríos", "Sierra",
    "Segura", "Carrillo", "Marcos", "Martí", "Soriano", "Mendoza", "Bernal", "Robles", "Vila", "Valero", "Palacios",
    "Expósito", "Benito", "Andrés", "Varela", "Puig", "Roca", "Etxeberria", "Agirre", "Zubizarreta", "Goikoetxea",
    "Figueroa", "Seoane", "Freire", "Bosch", "Serra", "Ribas",
];

/// A Spanish name: two surnames, and a second given name where the first often has one.
pub fn spanish_person(chance: &mut Chance) -> PersonName {
    let first_names = if chance.random() { WOMEN } else { MEN };
    let first = pick(first_names, chance);
    let second = PAIRS
        .iter()
        .find(|(name, _)| *name == first)
        .filter(|_| chance.random_ratio(1, 2))
        .map(|(_, seconds)| pick(seconds, chance));
    let first = second.map_or_else(|| first.to_owned(), |second| format!("{first} {second}"));
    PersonName { first, last: format!("{} {}", pick(SURNAMES, chance), pick(SURNAMES, chance)) }
}

fn pick(list: &[&'static str], chance: &mut Chance) -> &'static str {
    list.choose(chance).expect("no list here is empty")
}

/// An English name.
pub fn english_person(chance: &mut Chance) -> PersonName {
    PersonName { first: FirstName(EN).fake_with_rng(chance), last: LastName(EN).fake_with_rng(chance) }
}

/// What a customer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Trade {
    Restaurant,
    Hotel,
    Bakery,
    Butcher,
    Market,
    School,
    Care,
    Catering,
}

impl Trade {
    /// What people call the sector.
    pub fn sector(self) -> &'static str {
        match self {
            Self::Restaurant => "Restauración",
            Self::Hotel => "Hotelería",
            Self::Bakery => "Panadería y pastelería",
            Self::Butcher => "Carnicería",
            Self::Market => "Alimentación",
            Self::School => "Enseñanza",
            Self::Care => "Residencias y sanidad",
            Self::Catering => "Catering y eventos",
        }
    }

    /// Who decides there, beginning with the one who is always there.
    pub fn job_titles(self) -> &'static [&'static str] {
        match self {
            Self::Restaurant => &["Propiedad", "Jefatura de cocina", "Jefatura de sala", "Administración"],
            Self::Hotel => &[
                "Dirección",
                "Jefatura de cocina",
                "Compras",
                "Mantenimiento",
                "Alimentos y bebidas",
                "Administración",
            ],
            Self::Bakery => &["Propiedad", "Obrador", "Tienda", "Administración"],
            Self::Butcher => &["Propiedad", "Producción", "Administración"],
            Self::Market => &["Gerencia", "Compras", "Mantenimiento", "Expansión", "Administración"],
            Self::School => &["Dirección", "Comedor", "Administración", "Mantenimiento"],
            Self::Care => &["Dirección", "Cocina", "Compras", "Mantenimiento", "Administración"],
            Self::Catering => &["Gerencia", "Producción", "Logística", "Compras", "Administración"],
        }
    }
}

/// A company that the made-up company sells to.
pub struct CompanyName {
    /// With its legal form where it trades under it.
    pub name: String,
    /// NIF, valid in form.
    pub tax_id: String,
}

const TRADES: &[(Trade, u32)] = &[
    (Trade::Restaurant, 38),
    (Trade::Hotel, 16),
    (Trade::Bakery, 12),
    (Trade::Butcher, 8),
    (Trade::Market, 10),
    (Trade::School, 6),
    (Trade::Care, 5),
    (Trade::Catering, 5),
];

#[rustfmt::skip]
const EPITHETS: &[&str] = &[
    "El Faro", "La Encina", "Los Olivos", "El Mirador", "La Plaza", "La Marina", "El Puerto", "Las Cuatro Estaciones",
    "La Ermita", "El Patio", "La Bodega", "El Rincón", "Los Arcos", "La Herradura", "El Molino", "La Fuente",
    "El Roble", "La Parra", "Las Salinas", "El Castillo", "La Muralla", "Los Álamos", "El Alféizar", "La Ribera",
    "El Pinar", "La Sierra", "La Alhóndiga", "El Trébol", "La Golondrina", "El Almendro", "La Barca", "El Campanario",
    "La Dehesa", "Las Gaviotas", "El Tejar", "La Azotea", "Los Naranjos", "El Romeral", "La Calesa", "El Zaguán",
    "Las Adelfas", "La Noria", "El Cierzo",
];

const SAINTS: &[&str] = &[
    "San José",
    "Santa Teresa",
    "San Ignacio",
    "Santa María",
    "San Isidro",
    "Nuestra Señora del Carmen",
    "San Vicente",
    "Santa Lucía",
    "San Roque",
    "Santa Clara",
    "Virgen del Pilar",
    "San Andrés",
];

/// What the next customer does.
pub fn pick_trade(chance: &mut Chance) -> Trade {
    TRADES.choose_weighted(chance, |(_, weight)| *weight).expect("every trade has a weight").0
}

/// A name that says what the company does; `city` makes it belong somewhere.
pub fn company(trade: Trade, city: &str, chance: &mut Chance) -> CompanyName {
    let (surname, epithet, saint) = (pick(SURNAMES, chance), pick(EPITHETS, chance), pick(SAINTS, chance));
    let form = chance.random_range(0..10);
    let limited = |name: String| (format!("{name}, S.L."), 'B');
    let (name, letter) = match (trade, form) {
        (Trade::Restaurant, 0..3) => (format!("Restaurante {epithet}"), 'B'),
        (Trade::Restaurant, 3..5) => (format!("Casa {surname}"), 'P'),
        (Trade::Restaurant, 5..6) => (format!("Asador {surname}"), 'P'),
        (Trade::Restaurant, 6..7) => (format!("Mesón {epithet}"), 'P'),
        (Trade::Restaurant, 7..8) => (format!("Cafetería {epithet}"), 'P'),
        (Trade::Restaurant, _) => limited(format!("Hostelería {surname} {city}")),
        (Trade::Hotel, 0..4) => (format!("Hotel {epithet} {city}"), 'B'),
        (Trade::Hotel, 4..6) => (format!("Hostal {surname}"), 'P'),
        (Trade::Hotel, 6..8) => (format!("Apartamentos {epithet}"), 'B'),
        (Trade::Hotel, _) => (format!("Hoteles {surname}, S.A."), 'A'),
        (Trade::Bakery, 0..5) => (format!("Panadería {surname} e Hijos"), 'P'),
        (Trade::Bakery, 5..8) => (format!("Obrador {epithet}"), 'B'),
        (Trade::Bakery, _) => limited(format!("Pastelerías {surname}")),
        (Trade::Butcher, 0..5) => limited(format!("Cárnicas {surname}")),
        (Trade::Butcher, _) => (format!("Carnicería {surname}"), 'P'),
        (Trade::Market, 0..5) => limited(format!("Supermercados {surname}")),
        (Trade::Market, 5..8) => (format!("Alimentación {epithet}"), 'B'),
        (Trade::Market, _) => (format!("Distribuciones {surname} {city}, S.A."), 'A'),
        (Trade::School, 0..7) => (format!("Colegio {saint}"), 'B'),
        (Trade::School, _) => (format!("Escuela de Hostelería {city}"), 'B'),
        (Trade::Care, 0..7) => (format!("Residencia {saint}"), 'B'),
        (Trade::Care, _) => (format!("Clínica {surname}"), 'B'),
        (Trade::Catering, 0..6) => limited(format!("Catering {surname}")),
        (Trade::Catering, _) => limited(format!("Eventos {epithet}")),
    };
    let tax_id = if letter == 'P' { tax_id::person(chance) } else { tax_id::company(letter, chance) };
    CompanyName { name, tax_id }
}

/// A company's domain, under `.example`, which never resolves.
pub fn domain(company: &str) -> String {
    let trade_name = company.replacen(", S.L.", "", 1).replacen(", S.A.", "", 1);
    format!("{}.example", ascii(&trade_name))
}

/// Lower case, without accents; what is neither letter nor digit becomes one hyphen.
pub fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in crm::rules::fold(text).chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.trim_end_matches('-').to_owned()
}

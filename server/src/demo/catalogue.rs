//! What the made-up company sells: equipment for professional kitchens and the services around it; its price lists, and
//! who else sells the like.

use rand::RngExt;
use serde_json::{Value, json};
use sync_protocol::id::RecordId;

use super::calendar::{Day, date, date_text, instant};
use super::chance::{Chance, record_id};
use super::names::Trade;
use super::story::{Story, euros, link, made};

/// Things of one kind, alike but for size.
struct Family {
    series: &'static str,
    sku: &'static str,
    /// Of the smallest, in whole euros; each next size costs a good third more.
    price: i64,
    sizes: &'static [&'static str],
    name: &'static str,
    /// Who buys it; everyone, when empty.
    trades: &'static [Trade],
    kind: &'static str,
    unit: &'static str,
}

const fn goods(
    series: &'static str,
    sku: &'static str,
    name: &'static str,
    price: i64,
    sizes: &'static [&'static str],
    trades: &'static [Trade],
) -> Family {
    Family { series, sku, price, sizes, name, trades, kind: "good", unit: "unit" }
}

const fn service(sku: &'static str, name: &'static str, price: i64, unit: &'static str) -> Family {
    Family { series: "Servicios", sku, price, sizes: &[""], name, trades: &[], kind: "service", unit }
}

#[rustfmt::skip]
const FAMILIES: &[Family] = &[
    goods("Cocción", "HMX", "Horno mixto", 5_900, &["6 bandejas", "10 bandejas", "20 bandejas", "40 bandejas"], &[Trade::Restaurant, Trade::Hotel, Trade::School, Trade::Care, Trade::Catering]),
    goods("Cocción", "COG", "Cocina a gas", 1_850, &["2 fuegos", "4 fuegos", "6 fuegos", "8 fuegos"], &[Trade::Restaurant, Trade::Hotel, Trade::School, Trade::Care]),
    goods("Cocción", "PLA", "Plancha de cromo duro", 890, &["60 cm", "90 cm", "120 cm"], &[Trade::Restaurant, Trade::Hotel]),
    goods("Cocción", "FRE", "Freidora", 640, &["8 litros", "15 litros", "2 × 15 litros"], &[Trade::Restaurant, Trade::Hotel, Trade::School]),
    goods("Cocción", "MAR", "Marmita", 4_200, &["60 litros", "100 litros", "150 litros"], &[Trade::School, Trade::Care, Trade::Catering]),
    goods("Cocción", "CAM", "Campana extractora mural", 1_250, &["2 m", "3 m", "4 m"], &[Trade::Restaurant, Trade::Hotel, Trade::School, Trade::Care]),
    goods("Panadería", "HPI", "Horno de pisos", 7_400, &["2 pisos", "3 pisos", "4 pisos"], &[Trade::Bakery]),
    goods("Panadería", "AMA", "Amasadora de espiral", 1_980, &["20 kg", "40 kg", "60 kg", "100 kg"], &[Trade::Bakery, Trade::School]),
    goods("Panadería", "FER", "Cámara de fermentación", 3_150, &["1 carro", "2 carros", "4 carros"], &[Trade::Bakery]),
    goods("Panadería", "BAT", "Batidora planetaria", 1_120, &["10 litros", "20 litros", "40 litros"], &[Trade::Bakery, Trade::Hotel, Trade::Catering]),
    goods("Frío", "ARF", "Armario frigorífico", 1_490, &["1 puerta", "2 puertas", "3 puertas"], &[]),
    goods("Frío", "ARC", "Armario congelador", 1_790, &["1 puerta", "2 puertas", "3 puertas"], &[]),
    goods("Frío", "MEF", "Mesa fría", 1_260, &["2 puertas", "3 puertas", "4 puertas"], &[Trade::Restaurant, Trade::Hotel, Trade::Catering]),
    goods("Frío", "ABA", "Abatidor de temperatura", 2_350, &["5 bandejas", "10 bandejas", "20 bandejas"], &[Trade::Restaurant, Trade::Hotel, Trade::School, Trade::Care, Trade::Catering]),
    goods("Frío", "CAF", "Cámara frigorífica modular", 4_800, &["6 m³", "12 m³", "24 m³", "48 m³"], &[Trade::Butcher, Trade::Market, Trade::Hotel, Trade::Catering]),
    goods("Frío", "VIT", "Vitrina expositora", 2_100, &["1,5 m", "2 m", "3 m"], &[Trade::Butcher, Trade::Market, Trade::Bakery]),
    goods("Frío", "MUR", "Mural refrigerado", 3_300, &["1,3 m", "1,9 m", "2,5 m"], &[Trade::Market]),
    goods("Frío", "HIE", "Fabricador de hielo", 980, &["25 kg al día", "50 kg al día", "90 kg al día"], &[Trade::Restaurant, Trade::Hotel]),
    goods("Lavado", "LVC", "Lavavajillas de capota", 3_250, &["40 cestas por hora", "60 cestas por hora"], &[Trade::Restaurant, Trade::Hotel, Trade::School, Trade::Care]),
    goods("Lavado", "LVF", "Lavavasos frontal", 1_180, &["cesta de 35 cm", "cesta de 40 cm"], &[Trade::Restaurant, Trade::Hotel]),
    goods("Lavado", "TRE", "Túnel de lavado", 14_500, &["100 cestas por hora", "150 cestas por hora"], &[Trade::Hotel, Trade::School, Trade::Care, Trade::Catering]),
    goods("Lavado", "FRG", "Fregadero industrial", 420, &["1 seno", "2 senos"], &[]),
    goods("Cafetería", "CFE", "Cafetera exprés", 3_900, &["2 grupos", "3 grupos"], &[Trade::Restaurant, Trade::Hotel, Trade::Bakery]),
    goods("Cafetería", "MOL", "Molino de café", 480, &["estándar", "de precisión"], &[Trade::Restaurant, Trade::Hotel, Trade::Bakery]),
    goods("Cafetería", "EXP", "Exprimidor automático", 1_350, &["de barra", "con depósito"], &[Trade::Restaurant, Trade::Hotel, Trade::Market]),
    goods("Preparación", "ENV", "Envasadora al vacío", 1_150, &["barra de 30 cm", "barra de 40 cm", "de suelo"], &[Trade::Restaurant, Trade::Butcher, Trade::Market, Trade::Catering]),
    goods("Preparación", "COR", "Cortadora de fiambre", 760, &["250 mm", "300 mm", "350 mm"], &[Trade::Butcher, Trade::Market, Trade::Restaurant]),
    goods("Preparación", "SIE", "Sierra de cinta", 1_690, &["155 cm", "200 cm"], &[Trade::Butcher]),
    goods("Preparación", "PIC", "Picadora de carne", 990, &["100 kg por hora", "300 kg por hora"], &[Trade::Butcher]),
    goods("Servicio", "BUF", "Bufé frío y caliente", 2_750, &["4 cubetas", "6 cubetas"], &[Trade::Hotel, Trade::School, Trade::Catering]),
    goods("Servicio", "CAR", "Carro caliente", 1_540, &["10 bandejas", "20 bandejas"], &[Trade::Hotel, Trade::School, Trade::Care, Trade::Catering]),
    service("INS", "Instalación y puesta en marcha", 62, "hour"),
    service("FOR", "Formación del equipo de cocina", 540, "day"),
    service("MAN", "Contrato de mantenimiento", 95, "month"),
];

const COMPETITORS: &[(&str, i64, &str, &str)] = &[
    (
        "Frigosierra Equipos",
        4,
        "Plazos de entrega cortos y técnico propio en cada provincia.",
        "Catálogo de cocción estrecho.",
    ),
    (
        "Hostelmar Integral",
        5,
        "Llega con el proyecto de cocina completo y financia a cinco años.",
        "Caro en recambios; poca presencia en el interior.",
    ),
    ("Inoxval Cocinas", 3, "Fabrica a medida en acero inoxidable.", "Tarda ocho semanas o más."),
    ("Suministros Ocho Villas", 2, "Precio.", "Sin servicio técnico fuera de su comarca."),
    ("Tecnogourmet Directo", 3, "Venta por internet con entrega en 48 horas.", "No instala ni forma."),
    ("Panimaq del Ebro", 4, "La referencia en hornos de panadería.", "Nada fuera de la panadería."),
];

/// A product as those who sell it know it.
pub struct Product {
    pub id: RecordId,
    pub name: String,
    /// Euro cents.
    pub price: i64,
    pub cost: i64,
    trades: &'static [Trade],
    pub is_service: bool,
}

impl Product {
    /// Whether customers of that trade buy it.
    pub fn suits(&self, trade: Trade) -> bool {
        self.trades.is_empty() || self.trades.contains(&trade)
    }
}

/// What is sold, at which prices, against whom.
pub struct Catalogue {
    pub products: Vec<Product>,
    /// The list for everyone, and the one for hotel chains and others who buy much.
    pub price_lists: [RecordId; 2],
    pub competitors: Vec<RecordId>,
}

/// Writes the catalogue.
pub fn publish(story: &mut Story, first_day: Day, chance: &mut Chance) -> Catalogue {
    let at_ms = instant(first_day, 9, 30);
    let products = FAMILIES.iter().flat_map(|family| sizes(family, at_ms, story, chance)).collect::<Vec<_>>();
    let general = price_list("Tarifa general", None, first_day, story, chance);
    let large = price_list("Tarifa grandes cuentas", Some(general), first_day, story, chance);
    for product in &products {
        price(product, general, 100, None, first_day, story, chance);
        if !product.is_service {
            price(product, general, 95, Some(5), first_day, story, chance);
        }
        price(product, large, 88, None, first_day, story, chance);
    }
    let competitors = COMPETITORS.iter().map(|competitor| compete(competitor, at_ms, story, chance)).collect();
    Catalogue { products, price_lists: [general, large], competitors }
}

fn sizes(family: &'static Family, at_ms: i64, story: &mut Story, chance: &mut Chance) -> Vec<Product> {
    let mut products = Vec::with_capacity(family.sizes.len());
    let mut whole_euros = family.price;
    for (index, size) in family.sizes.iter().enumerate() {
        let name = if size.is_empty() { family.name.to_owned() } else { format!("{}, {size}", family.name) };
        let id = record_id(at_ms, chance);
        let price = whole_euros * 100;
        let cost = price * chance.random_range(56..=72) / 100;
        whole_euros += whole_euros * 38 / 1_000 * 10;
        let fields = [
            ("name", json!(name)),
            ("sku", json!(format!("{}-{:02}", family.sku, index + 1))),
            ("series", json!(family.series)),
            ("kind", json!(family.kind)),
            ("unit", json!(family.unit)),
            ("sales_price", euros(price)),
            ("cost", euros(cost)),
            ("created_on", json!(at_ms)),
        ];
        story.found(made("product", id, fields));
        products.push(Product { id, name, price, cost, trades: family.trades, is_service: family.kind == "service" });
    }
    products
}

fn price_list(
    name: &str,
    parent: Option<RecordId>,
    first_day: Day,
    story: &mut Story,
    chance: &mut Chance,
) -> RecordId {
    let at_ms = instant(first_day, 10, 0);
    let id = record_id(at_ms, chance);
    let fields = [
        ("name", json!(name)),
        ("currency", json!("EUR")),
        ("parent", parent.map_or(Value::Null, link)),
        ("valid_from", json!(new_year(first_day))),
        ("created_on", json!(at_ms)),
    ];
    story.found(made("price_list", id, fields));
    id
}

/// A price at so many per cent of the product's own, from a quantity on.
fn price(
    product: &Product,
    list: RecordId,
    percent: i64,
    from_quantity: Option<i64>,
    first_day: Day,
    story: &mut Story,
    chance: &mut Chance,
) {
    let at_ms = instant(first_day, 10, 0);
    let fields = [
        ("name", json!(product.name)),
        ("price_list", link(list)),
        ("product", link(product.id)),
        ("price", euros(product.price * percent / 100)),
        ("cost", euros(product.cost)),
        ("min_quantity", from_quantity.map_or(Value::Null, |quantity| json!(quantity * 1000))),
        ("valid_from", json!(new_year(first_day))),
        ("created_on", json!(at_ms)),
    ];
    story.found(made("price_item", record_id(at_ms, chance), fields));
}

fn compete(
    &(name, threat, strengths, weaknesses): &(&str, i64, &str, &str),
    at_ms: i64,
    story: &mut Story,
    chance: &mut Chance,
) -> RecordId {
    let id = record_id(at_ms, chance);
    let fields = [
        ("name", json!(name)),
        ("website", json!(format!("https://{}.example", super::names::ascii(name)))),
        ("threat", json!(threat)),
        ("strengths", json!(strengths)),
        ("weaknesses", json!(weaknesses)),
        ("created_on", json!(at_ms)),
    ];
    story.found(made("competitor", id, fields));
    id
}

/// The first of January of the year of a day.
fn new_year(day: Day) -> String {
    date_text(day + 1 - i64::from(date(day).day_of_year()))
}

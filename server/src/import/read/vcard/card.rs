use serde_json::{Map, Value, json};

use super::super::cell::Oddity;
use super::super::{Cell, Damage, InnerFile, ReadError, Row};
use super::photo::picture;
use super::property::{Property, Version};
use super::words::{apple_label, components, list, text, tokens};

/// The columns that a file of cards can have; a file has those that one of its cards fills.
pub const COLUMNS: &[&str] = &[
    "uid",
    "name",
    "first_name",
    "last_name",
    "salutation",
    "nickname",
    "organisation",
    "department",
    "job_title",
    "phones",
    "emails",
    "addresses",
    "websites",
    "birthday",
    "notes",
    "categories",
    "photo",
];

/// Properties about the card and not about the person.
const HOUSEKEEPING: [&str; 14] = [
    "VERSION",
    "PRODID",
    "REV",
    "SORT-STRING",
    "PROFILE",
    "SOURCE",
    "KIND",
    "CLIENTPIDMAP",
    "X-ABUID",
    "X-ABLABEL",
    "X-ABADR",
    "X-MS-OL-DESIGN",
    "X-MS-OL-DEFAULT-POSTAL-ADDRESS",
    "MAILER",
];

/// Types that say how a number or an address is reached and not what it is for.
const SILENT_TYPES: [&str; 9] = ["pref", "voice", "internet", "text", "x400", "postal", "parcel", "dom", "intl"];

/// A card: its properties in their order.
#[derive(Debug)]
pub(super) struct Card {
    /// Where it starts.
    pub(super) line: u64,
    version: Option<Version>,
    properties: Vec<Property>,
}

impl Card {
    /// The card whose `BEGIN` stands on this line.
    pub(super) fn begun(line: u64) -> Self {
        Self { line, version: None, properties: Vec::new() }
    }

    pub(super) fn version(&self) -> Option<Version> {
        self.version
    }

    pub(super) fn add(&mut self, property: Property) -> Result<(), ReadError> {
        if property.name == "VERSION" {
            self.version = Some(match property.value.trim() {
                "2.1" => Version::V2,
                "3.0" => Version::V3,
                "4.0" => Version::V4,
                other => return Err(ReadError::at(property.line, Damage::UnknownVersion(other.to_owned()))),
            });
        }
        self.properties.push(property);
        Ok(())
    }

    /// The row, with the columns that `used` names.
    pub(super) fn into_row(self, used: &[bool]) -> Row {
        let (cells, oddities) = self.cells();
        let cells = cells.into_iter().zip(used).filter(|(_, used)| **used).map(|(cell, _)| cell).collect();
        Row { line: self.line, cells, oddities }
    }

    /// A cell for each of [`COLUMNS`], and what of the card is not in them.
    pub(super) fn cells(&self) -> (Vec<Cell>, Vec<Oddity>) {
        let reading = Reading { card: self, version: self.version.unwrap_or(Version::V4) };
        let mut oddities = reading.oddities();
        let names = reading.name_parts();
        let (emails, strange) = reading.emails();
        let phones = reading.phones();
        let notes = reading.notes(&strange);
        let mut name = reading.first("FN");
        if name.is_empty() {
            name = names.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(" ");
        }
        let organisation = reading.parts("ORG");
        if name.is_empty() {
            let stand_in = [
                reading.first("NICKNAME"),
                organisation.first().cloned().unwrap_or_default(),
                first_text(&emails, "address"),
                first_text(&phones, "raw"),
            ];
            name = stand_in.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
            oddities.push(Oddity::Nameless { text: name.clone() });
        }
        // The full name has all parts; there is no field for a second name or for `Sr.` alone.
        let [prefix, first, middle, last, _] = names;
        let cells = vec![
            Cell::text(&reading.first("UID")),
            Cell::text(&name),
            Cell::text(&format!("{first} {middle}")),
            Cell::text(&last),
            Cell::text(&prefix),
            Cell::text(&reading.first("NICKNAME")),
            Cell::text(organisation.first().map_or("", String::as_str)),
            Cell::text(&organisation.get(1..).unwrap_or_default().join(" / ")),
            Cell::text(&reading.first("TITLE")),
            built(phones),
            built(emails),
            built(reading.addresses()),
            built(reading.all("URL").map(Value::String).collect()),
            Cell::text(&reading.first("BDAY")),
            Cell::text(&notes),
            built(reading.categories().map(Value::String).collect()),
            reading.photo().map_or(Cell::Empty, Cell::Blob),
        ];
        (cells, oddities)
    }
}

fn built(members: Vec<Value>) -> Cell {
    if members.is_empty() { Cell::Empty } else { Cell::Built(Value::Array(members)) }
}

fn first_text(members: &[Value], key: &str) -> String {
    members.first().and_then(|member| member[key].as_str()).unwrap_or_default().to_owned()
}

struct Reading<'a> {
    card: &'a Card,
    version: Version,
}

impl Reading<'_> {
    fn of(&self, name: &'static str) -> impl Iterator<Item = &Property> {
        self.card.properties.iter().filter(move |property| property.name == name && !property.is_data)
    }

    fn all(&self, name: &'static str) -> impl Iterator<Item = String> {
        self.of(name).map(|property| text(&property.value, self.version)).filter(|value| !value.is_empty())
    }

    fn first(&self, name: &'static str) -> String {
        self.all(name).next().unwrap_or_default()
    }

    fn parts(&self, name: &'static str) -> Vec<String> {
        self.of(name).next().map(|property| components(&property.value, self.version, " ")).unwrap_or_default()
    }

    /// Prefix, first, middle, last, suffix: as they are spoken.
    fn name_parts(&self) -> [String; 5] {
        let mut parts = self.parts("N");
        parts.resize(5, String::new());
        let mut take = |at: usize| std::mem::take(&mut parts[at]);
        [take(3), take(1), take(2), take(0), take(4)]
    }

    fn phones(&self) -> Vec<Value> {
        let mut phones: Vec<Value> = Vec::new();
        for property in self.of("TEL") {
            let raw = text(&property.value, self.version);
            let raw = raw.strip_prefix("tel:").unwrap_or(&raw).trim();
            if !raw.is_empty() {
                push_labelled(&mut phones, "raw", self.labelled("raw", raw, property));
            }
        }
        phones
    }

    /// The addresses, and what stands in their place and is none.
    fn emails(&self) -> (Vec<Value>, Vec<String>) {
        let mut emails: Vec<Value> = Vec::new();
        let mut strange = Vec::new();
        for property in self.of("EMAIL") {
            let address = text(&property.value, self.version);
            let address = address.strip_prefix("mailto:").unwrap_or(&address).trim();
            if looks_like_email(address) {
                push_labelled(&mut emails, "address", self.labelled("address", address, property));
            } else if !address.is_empty() {
                strange.push(address.to_owned());
            }
        }
        (emails, strange)
    }

    /// The first photo that is a whole picture.
    fn photo(&self) -> Option<InnerFile> {
        let photos = self.card.properties.iter().filter(|property| property.name == "PHOTO");
        photos.filter(|property| !property.data.is_empty()).find_map(|property| picture(property.data.clone()))
    }

    fn categories(&self) -> impl Iterator<Item = String> {
        // Version 2.1 separates them by commas too, although a comma is a comma in its other values.
        let version = if self.version == Version::V2 { Version::V3 } else { self.version };
        self.of("CATEGORIES").flat_map(move |property| list(&property.value, version))
    }

    fn labelled(&self, key: &str, value: &str, property: &Property) -> Value {
        let mut member = Map::from_iter([(key.to_owned(), json!(value))]);
        if let Some(label) = self.label(property) {
            member.insert("label".to_owned(), json!(label));
        }
        Value::Object(member)
    }

    /// The label that a person gave, else the types.
    fn label(&self, property: &Property) -> Option<String> {
        let own = property
            .group
            .as_ref()
            .and_then(|group| self.of("X-ABLABEL").find(|label| label.group.as_ref() == Some(group)));
        if let Some(own) = own {
            return Some(apple_label(&text(&own.value, self.version)));
        }
        let mut types: Vec<&str> = property
            .types
            .iter()
            .map(|kind| if kind == "cell" { "mobile" } else { kind.as_str() })
            .filter(|kind| !SILENT_TYPES.contains(kind))
            .collect();
        types.dedup();
        (!types.is_empty()).then(|| types.join(" "))
    }

    fn addresses(&self) -> Vec<Value> {
        let mut addresses: Vec<Value> = Vec::new();
        let mut known: Vec<String> = Vec::new();
        let mut labels: Vec<(&Property, String)> =
            self.of("LABEL").map(|property| (property, text(&property.value, self.version))).collect();
        for property in self.of("ADR") {
            let mut parts = components(&property.value, self.version, ", ");
            parts.resize(7, String::new());
            let street = parts[..3].iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(", ");
            let apple_country = property.group.as_ref().and_then(|group| {
                self.of("X-ABADR").find(|hint| hint.group.as_ref() == Some(group) && hint.value.trim().len() == 2)
            });
            let country = apple_country.map_or_else(|| parts[6].clone(), |hint| hint.value.trim().to_uppercase());
            let mut address = Map::new();
            for (key, value) in [
                ("street", &street),
                ("city", &parts[3]),
                ("region", &parts[4]),
                ("postcode", &parts[5]),
                ("country", &country),
            ] {
                let value = one_line(value);
                if !value.is_empty() {
                    address.insert(key.to_owned(), json!(value));
                }
            }
            known.extend(parts.iter().flat_map(|part| tokens(part)));
            if address.is_empty() {
                labels.extend(property.label.clone().map(|label| (property, label)));
                continue;
            }
            if let Some(label) = self.label(property) {
                address.insert("label".to_owned(), json!(label));
            }
            push_distinct(&mut addresses, Value::Object(address));
        }
        // A label repeats an address as an envelope shows it; one that says more is an address of its own.
        for (property, label) in labels {
            if tokens(&label).iter().any(|word| !known.contains(word)) {
                push_distinct(&mut addresses, self.labelled("street", &one_line(&label), property));
            }
        }
        addresses
    }

    /// The notes, and below them what a field of its own would have refused.
    fn notes(&self, strange: &[String]) -> String {
        let mut notes: Vec<String> = Vec::new();
        let others = strange.iter().map(|text| format!("E-mail: {text}"));
        for note in self.all("NOTE").chain(others) {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        notes.join("\n\n")
    }

    fn oddities(&self) -> Vec<Oddity> {
        let mut oddities = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        for property in &self.card.properties {
            let name = property.name.as_str();
            if property.is_undecodable {
                oddities.push(Oddity::Undecodable { text: property.shown() });
            }
            if HOUSEKEEPING.contains(&name) {
                continue;
            }
            let is_repeated = seen.contains(&name);
            seen.push(name);
            let is_kept = match name {
                "TEL" | "EMAIL" | "ADR" | "LABEL" | "NOTE" | "CATEGORIES" | "URL" => !property.is_data,
                "FN" | "N" | "UID" | "NICKNAME" | "TITLE" | "BDAY" => !is_repeated,
                "PHOTO" => self.photo().is_some_and(|photo| photo.bytes == property.data),
                // Several of them happen in real cards; equal ones lose nothing.
                "ORG" => self.of("ORG").next().is_none_or(|first| first.value == property.value),
                _ => false,
            };
            let property = Oddity::NotKept { property: name.to_owned() };
            if !is_kept && !oddities.contains(&property) {
                oddities.push(property);
            }
        }
        oddities
    }
}

fn looks_like_email(text: &str) -> bool {
    let is_plain = !text.contains(|one: char| one.is_whitespace() || matches!(one, '<' | '>' | ',' | ';' | '"'));
    text.split_once('@').is_some_and(|(local, domain)| {
        is_plain && !local.is_empty() && !domain.contains('@') && domain.split('.').all(|label| !label.is_empty())
    })
}

fn one_line(value: &str) -> String {
    value.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(", ")
}

/// One number may stand on a card several times, for several uses: it is one member with all their labels.
fn push_labelled(members: &mut Vec<Value>, key: &str, member: Value) {
    let Some(known) = members.iter_mut().find(|known| known[key] == member[key]) else {
        members.push(member);
        return;
    };
    let labels = [known["label"].as_str(), member["label"].as_str()];
    let label = labels.into_iter().flatten().collect::<Vec<_>>().join(", ");
    if !label.is_empty() {
        known["label"] = json!(label);
    }
}

fn push_distinct(members: &mut Vec<Value>, member: Value) {
    if !members.contains(&member) {
        members.push(member);
    }
}

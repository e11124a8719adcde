use crm::model::Language;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the file cannot be read{}: {}", at(*.line), .damage.message(Language::En))]
pub struct ReadError {
    /// Where, when it is in one place.
    pub line: Option<u64>,
    /// What is wrong.
    pub damage: Damage,
}

fn at(line: Option<u64>) -> String {
    line.map_or_else(String::new, |line| format!(" at line {line}"))
}

impl ReadError {
    /// Damage in one place.
    #[must_use]
    pub fn at(line: u64, damage: Damage) -> Self {
        Self { line: Some(line), damage }
    }

    /// Damage of the whole file.
    #[must_use]
    pub fn whole(damage: Damage) -> Self {
        Self { line: None, damage }
    }
}

impl From<std::io::Error> for ReadError {
    fn from(error: std::io::Error) -> Self {
        Self::whole(Damage::Io(error.to_string()))
    }
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The operating system could not read it.
    Io(String),
    /// Nothing in it.
    Empty,
    /// Not a format that is read here.
    UnknownFormat,
    /// The encoding asked for does not exist.
    UnknownEncoding(String),
    /// A quoted cell of a CSV file does not end.
    OpenQuote,
    /// A row of a CSV file that is larger than any real one.
    RowTooLarge,
    /// Two columns have the same name.
    RepeatedColumn(String),
    /// More columns than any real table.
    TooManyColumns(usize),
    /// Not a workbook, or a damaged one.
    Workbook(String),
    /// The workbook unpacks to more than is read.
    WorkbookTooLarge(String),
    /// The worksheet asked for does not exist.
    NoSheet {
        /// The name asked for.
        asked: String,
        /// The names there are.
        present: Vec<String>,
    },
    /// Text outside of a card.
    OutsideCard(String),
    /// A card starts inside a card.
    CardNotEnded {
        /// Where the first one starts.
        begun: u64,
    },
    /// The file ends inside a card.
    CardCut {
        /// Where it starts.
        begun: u64,
    },
    /// A card does not say its version.
    NoVersion {
        /// Where it starts.
        begun: u64,
    },
    /// A version that is not read.
    UnknownVersion(String),
    /// A line of a card that is not `NAME:value`.
    NotAProperty(String),
    /// A control character.
    ControlCharacter(u8),
    /// Quoted-printable text that is not.
    QuotedPrintable(String),
    /// A character that base64 does not have, or data after its end.
    Base64Character(String),
    /// Base64 that ends too early.
    Base64Cut {
        /// Characters that there are.
        characters: u64,
    },
    /// A character set that does not exist.
    UnknownCharset(String),
    /// An encoding of a value that does not exist.
    UnknownTransfer(String),
}

impl Damage {
    /// Stable and machine-readable.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io(_) => "unreadable",
            Self::Empty => "empty-file",
            Self::UnknownFormat => "unknown-format",
            Self::UnknownEncoding(_) => "unknown-encoding",
            Self::OpenQuote => "open-quote",
            Self::RowTooLarge => "row-too-large",
            Self::RepeatedColumn(_) => "repeated-column",
            Self::TooManyColumns(_) => "too-many-columns",
            Self::Workbook(_) => "damaged-workbook",
            Self::WorkbookTooLarge(_) => "workbook-too-large",
            Self::NoSheet { .. } => "no-such-sheet",
            _ => "damaged-card",
        }
    }

    /// One sentence: what is wrong and what to do about it.
    #[must_use]
    pub fn message(&self, language: Language) -> String {
        match language {
            Language::Es => self.spanish(),
            Language::En => self.english(),
        }
    }

    fn english(&self) -> String {
        match self {
            Self::Io(error) => format!("reading failed: {error}"),
            Self::Empty => "nothing is in it; check that the right file was chosen".into(),
            Self::UnknownFormat => "it is no CSV, XLSX or vCard file; save it as one of these".into(),
            Self::UnknownEncoding(label) => format!("there is no encoding “{label}”; try utf-8 or windows-1252"),
            Self::OpenQuote => {
                "the quotation mark that opens a cell here is never closed; close it or double it".into()
            }
            Self::RowTooLarge => "this row is larger than 4 MiB; look for a quotation mark that is never closed".into(),
            Self::RepeatedColumn(name) => format!("two columns are called “{name}”; rename one of them"),
            Self::TooManyColumns(count) => format!("{count} columns are too many; at most 1,000 are read"),
            Self::Workbook(error) => format!("it is not a sound workbook ({error}); open it, save it again and retry"),
            Self::WorkbookTooLarge(part) => {
                format!("its part “{part}” unpacks to more than is read; split it or save the sheet as CSV")
            }
            Self::NoSheet { asked, present } => {
                format!("there is no sheet “{asked}”; the sheets are {}", present.join(", "))
            }
            Self::OutsideCard(text) => format!("“{text}” stands outside of any card; a card starts with BEGIN:VCARD"),
            Self::CardNotEnded { begun } => {
                format!("a card starts here although the one from line {begun} has no END:VCARD; export it again")
            }
            Self::CardCut { begun } => {
                format!("the file ends inside the card from line {begun}, before END:VCARD; export it again")
            }
            Self::NoVersion { begun } => format!("the card from line {begun} has no VERSION; export it again"),
            Self::UnknownVersion(version) => format!("vCard version “{version}” is not read; 2.1, 3.0 and 4.0 are"),
            Self::NotAProperty(text) => format!("“{text}” is not of the form NAME:value; export the card again"),
            Self::ControlCharacter(byte) => format!("control character 0x{byte:02X} stands in it; export it again"),
            Self::QuotedPrintable(text) => format!("“{text}” is not quoted-printable; export the card again"),
            Self::Base64Character(text) => {
                format!("“{text}” does not belong into the base64 data; export the card again")
            }
            Self::Base64Cut { characters } => {
                format!("the base64 data is cut after {characters} characters; export the card again")
            }
            Self::UnknownCharset(name) => format!("there is no character set “{name}”; export the card again"),
            Self::UnknownTransfer(name) => format!("the encoding “{name}” is not known; export the card again"),
        }
    }

    fn spanish(&self) -> String {
        match self {
            Self::Io(error) => format!("falló la lectura: {error}"),
            Self::Empty => "no contiene nada; comprueba que es el fichero correcto".into(),
            Self::UnknownFormat => "no es un fichero CSV, XLSX ni vCard; guárdalo como uno de ellos".into(),
            Self::UnknownEncoding(label) => {
                format!("no existe la codificación «{label}»; prueba con utf-8 o windows-1252")
            }
            Self::OpenQuote => "las comillas que abren aquí una celda no se cierran; ciérralas o duplícalas".into(),
            Self::RowTooLarge => "esta fila ocupa más de 4 MiB; busca unas comillas sin cerrar".into(),
            Self::RepeatedColumn(name) => format!("dos columnas se llaman «{name}»; cambia el nombre de una"),
            Self::TooManyColumns(count) => format!("{count} columnas son demasiadas; se leen 1.000 como máximo"),
            Self::Workbook(error) => {
                format!("el libro está dañado ({error}); ábrelo, guárdalo otra vez y repite la importación")
            }
            Self::WorkbookTooLarge(part) => {
                format!("su parte «{part}» ocupa demasiado al descomprimirla; divídelo o guarda la hoja como CSV")
            }
            Self::NoSheet { asked, present } => {
                format!("no hay ninguna hoja «{asked}»; las hojas son {}", present.join(", "))
            }
            Self::OutsideCard(text) => {
                format!("«{text}» está fuera de cualquier tarjeta; una tarjeta empieza con BEGIN:VCARD")
            }
            Self::CardNotEnded { begun } => {
                format!("empieza una tarjeta aunque la de la línea {begun} no tiene END:VCARD; expórtala otra vez")
            }
            Self::CardCut { begun } => format!(
                "el fichero se acaba dentro de la tarjeta de la línea {begun}, antes de END:VCARD; expórtalo otra vez"
            ),
            Self::NoVersion { begun } => {
                format!("la tarjeta de la línea {begun} no tiene VERSION; expórtala otra vez")
            }
            Self::UnknownVersion(version) => {
                format!("no se lee la versión «{version}» de vCard; se leen 2.1, 3.0 y 4.0")
            }
            Self::NotAProperty(text) => {
                format!("«{text}» no tiene la forma NOMBRE:valor; exporta la tarjeta otra vez")
            }
            Self::ControlCharacter(byte) => {
                format!("contiene el carácter de control 0x{byte:02X}; expórtalo otra vez")
            }
            Self::QuotedPrintable(text) => {
                format!("«{text}» no es quoted-printable; exporta la tarjeta otra vez")
            }
            Self::Base64Character(text) => {
                format!("«{text}» sobra en los datos en base64; exporta la tarjeta otra vez")
            }
            Self::Base64Cut { characters } => {
                format!("los datos en base64 se cortan tras {characters} caracteres; exporta la tarjeta otra vez")
            }
            Self::UnknownCharset(name) => {
                format!("no existe el juego de caracteres «{name}»; exporta la tarjeta otra vez")
            }
            Self::UnknownTransfer(name) => {
                format!("no se conoce la codificación «{name}»; exporta la tarjeta otra vez")
            }
        }
    }
}

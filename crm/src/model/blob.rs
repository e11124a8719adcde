use serde::{Deserialize, Serialize};

/// Which files a field of blobs takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accept {
    /// Any type that blobs may have.
    #[default]
    Any,
    /// Pictures.
    Images,
}

impl Accept {
    /// Whether a file of this media type is taken.
    #[must_use]
    pub fn takes(self, media_type: &str) -> bool {
        self.types().any(|known| known == media_type)
    }

    /// The media types that are taken. What a browser would run or render with scripts (HTML, SVG, XML) is not among
    /// them; any file may travel as `application/octet-stream`, which nothing opens by itself.
    pub fn types(self) -> impl Iterator<Item = &'static str> {
        let all = match self {
            Self::Any => TYPES.len(),
            Self::Images => IMAGES,
        };
        TYPES[..all].iter().map(|(media_type, _)| *media_type)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands the value over by reference")]
    pub(super) fn is_any(&self) -> bool {
        *self == Self::Any
    }
}

/// How many of [`TYPES`], from the first, are pictures.
const IMAGES: usize = 6;

/// Every media type that a blob may have, with the usual endings of file names.
const TYPES: [(&str, &[&str]); 37] = [
    ("image/jpeg", &["jpg", "jpeg", "jpe"]),
    ("image/png", &["png"]),
    ("image/gif", &["gif"]),
    ("image/webp", &["webp"]),
    ("image/heic", &["heic", "heif"]),
    ("image/avif", &["avif"]),
    ("image/tiff", &["tif", "tiff"]),
    ("image/bmp", &["bmp"]),
    ("application/pdf", &["pdf"]),
    ("text/plain", &["txt", "text", "log", "md"]),
    ("text/csv", &["csv"]),
    ("text/vcard", &["vcf", "vcard"]),
    ("text/calendar", &["ics"]),
    ("application/rtf", &["rtf"]),
    ("application/msword", &["doc"]),
    ("application/vnd.ms-excel", &["xls"]),
    ("application/vnd.ms-powerpoint", &["ppt"]),
    ("application/vnd.ms-outlook", &["msg"]),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", &["docx"]),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", &["xlsx"]),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", &["pptx"]),
    ("application/vnd.oasis.opendocument.text", &["odt"]),
    ("application/vnd.oasis.opendocument.spreadsheet", &["ods"]),
    ("application/vnd.oasis.opendocument.presentation", &["odp"]),
    ("application/zip", &["zip"]),
    ("application/gzip", &["gz", "tgz"]),
    ("application/x-7z-compressed", &["7z"]),
    ("message/rfc822", &["eml"]),
    ("audio/mpeg", &["mp3"]),
    ("audio/mp4", &["m4a"]),
    ("audio/ogg", &["ogg", "oga", "opus"]),
    ("audio/wav", &["wav"]),
    ("audio/webm", &["weba"]),
    ("video/mp4", &["mp4", "m4v"]),
    ("video/quicktime", &["mov"]),
    ("video/webm", &["webm"]),
    ("application/octet-stream", &[]),
];

/// The media type that a file's name tells; `application/octet-stream` where it tells none.
#[must_use]
pub fn media_type_of(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    let known = TYPES.iter().find(|(_, endings)| endings.contains(&ending.as_str()));
    known.map_or("application/octet-stream", |(media_type, _)| media_type)
}

/// The usual ending of names of files of this media type; none where there is no usual one.
#[must_use]
pub fn ending_of(media_type: &str) -> Option<&'static str> {
    TYPES.iter().find(|(known, _)| *known == media_type).and_then(|(_, endings)| endings.first().copied())
}

/// Bytes that a blob may have where the field does not say: 25 MiB.
pub const DEFAULT_BLOB_BYTES: u64 = 25 << 20;

pub(super) fn default_bytes() -> u64 {
    DEFAULT_BLOB_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_would_run_is_no_type_of_a_blob() {
        for risky in ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "text/javascript", ""] {
            assert!(!Accept::Any.takes(risky), "{risky}");
        }
        assert_eq!(media_type_of("page.html"), "application/octet-stream");
        assert_eq!(media_type_of("drawing.svg"), "application/octet-stream");
    }

    #[test]
    fn pictures_are_pictures() {
        assert!(Accept::Images.types().all(|media_type| media_type.starts_with("image/")));
        assert!(Accept::Images.takes(media_type_of("Ana.JPG")) && !Accept::Images.takes("application/pdf"));
        assert_eq!(ending_of("image/jpeg"), Some("jpg"));
    }
}

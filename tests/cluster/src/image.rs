//! Container images without a daemon: an OCI layout with one layer, which holds a binary and the libraries that it needs.
//!
//! The same binary and libraries give the same bytes: an image's digest changes when one of them does and at no other time.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::hash::hex;

/// The user of every image, by number: Kubernetes cannot tell from a name that it is not root.
pub const USER: &str = "65532:65532";

/// Every file of an image can be read and run by its user, and changed by nobody.
const MODE: u32 = 0o755;

/// The file of a layout that says which images are in it.
const INDEX: &str = "index.json";

/// Where that file says what an image is called.
const NAME_KEY: &str = "io.containerd.image.name";

/// An image to be written.
#[derive(Clone, Debug)]
pub struct Image {
    name: String,
    entrypoint: String,
    /// Where each file lies in the image, and on this machine.
    files: BTreeMap<PathBuf, PathBuf>,
}

impl Image {
    /// The image of one binary, which becomes its entry point; its libraries lie where they lie on this machine.
    ///
    /// # Errors
    /// When the binary is not there, or one of its libraries.
    pub fn of(name: &str, binary: &Path) -> Result<Self> {
        // Where it names none, the runtime of a node looks for another image than this one.
        let registry = name.split_once('/').map_or("", |(registry, _)| registry);
        ensure!(registry.contains(['.', ':']), "an image's name begins with a domain, such as cartera.dev/{name}");
        ensure!(binary.is_file(), "the binary {} of the image {name} is not there: build it first", binary.display());
        let file_name = binary.file_name().context("a file has a name")?;
        let mut files: BTreeMap<PathBuf, PathBuf> =
            libraries(binary)?.into_iter().map(|library| (library.clone(), library)).collect();
        files.insert(Path::new("/").join(file_name), binary.to_owned());
        Ok(Self { name: name.to_owned(), entrypoint: format!("/{}", file_name.display()), files })
    }

    /// The same with one more file, at `place`.
    #[must_use]
    pub fn with(mut self, place: &str, file: &Path) -> Self {
        self.files.insert(PathBuf::from(place), file.to_owned());
        self
    }
}

/// What the loader would bring into a process of this binary; nothing when it is static.
fn libraries(binary: &Path) -> Result<Vec<PathBuf>> {
    // It fails for a static binary, in words that differ from system to system.
    let listed = Command::new("ldd").arg(binary).output().context("could not run ldd, which lists libraries")?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let missing = listed.lines().find(|line| line.contains("not found"));
    ensure!(missing.is_none(), "{} needs a library: {}", binary.display(), missing.unwrap_or_default().trim());
    Ok(listed.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}

/// Writes an image as a tar of its OCI layout; returns its digest.
///
/// # Errors
/// When a file cannot be read or the tar cannot be written.
pub fn write(image: &Image, path: &Path) -> Result<String> {
    let layer = layer(image).with_context(|| format!("could not pack the image {}", image.name))?;
    let config = json!({
        "architecture": architecture(),
        "os": "linux",
        "config": run_as(image),
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
    });
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
    });
    let manifest = manifest.to_string().into_bytes();
    let mut named = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
    named["annotations"] = json!({NAME_KEY: image.name});
    named["platform"] = json!({"architecture": architecture(), "os": "linux"});
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [named],
    });

    let mut layout = Archive::new(Vec::new());
    layout.add("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#, 0o644)?;
    layout.add(INDEX, index.to_string().as_bytes(), 0o644)?;
    for blob in [&config, &layer, &manifest] {
        layout.add(&format!("blobs/{}", digest(blob).replace(':', "/")), blob, 0o644)?;
    }
    let bytes = layout.finish()?;
    let written = File::create(path).and_then(|mut file| file.write_all(&bytes));
    written.with_context(|| format!("could not write {}", path.display()))?;
    Ok(digest(&manifest))
}

/// What is run of an image, and as whom.
fn run_as(image: &Image) -> Value {
    json!({"User": USER, "Entrypoint": [image.entrypoint], "WorkingDir": "/"})
}

/// The name of the image in a tar of its OCI layout, with its tag, and the name that holds its digest instead.
pub(crate) fn names(path: &Path) -> Result<(String, String)> {
    let index = index(path).with_context(|| format!("could not read {}", path.display()))?;
    let image = &index["manifests"][0];
    let name = image["annotations"][NAME_KEY].as_str().context("the image has no name")?;
    let digest = image["digest"].as_str().context("the image has no digest")?;
    // What stands before the last slash may hold the port of a registry.
    let tag = name.rfind(':').filter(|colon| name.rfind('/').is_none_or(|slash| slash < *colon));
    Ok((name.to_owned(), format!("{}@{digest}", &name[..tag.unwrap_or(name.len())])))
}

fn index(path: &Path) -> Result<Value> {
    for entry in tar::Archive::new(File::open(path)?).entries()? {
        let entry = entry?;
        if *entry.path()? == *INDEX {
            return Ok(serde_json::from_reader(entry)?);
        }
    }
    bail!("it holds no {INDEX}")
}

/// Lays the files of an image into a folder as they lie in the image, for an engine to build it from there.
///
/// # Errors
/// When a file cannot be copied.
pub fn lay(image: &Image, folder: &Path) -> Result<()> {
    for (place, source) in &image.files {
        let laid = folder.join(place.strip_prefix("/").unwrap_or(place));
        let above = laid.parent().context("a file lies in a folder")?;
        let copied = fs::create_dir_all(above)
            .and_then(|()| fs::copy(source, &laid))
            .and_then(|_| fs::set_permissions(&laid, Permissions::from_mode(MODE)));
        copied.with_context(|| format!("could not copy {} to {}", source.display(), laid.display()))?;
    }
    Ok(())
}

fn layer(image: &Image) -> Result<Vec<u8>> {
    let mut layer = Archive::new(Vec::new());
    for (place, source) in &image.files {
        let content = fs::read(source).with_context(|| format!("could not read {}", source.display()))?;
        layer.add(place.to_string_lossy().trim_start_matches('/'), &content, MODE)?;
    }
    layer.finish()
}

/// A tar that says of its files what they hold, and nothing of where and when they were made.
struct Archive {
    tar: tar::Builder<Vec<u8>>,
}

impl Archive {
    fn new(bytes: Vec<u8>) -> Self {
        Self { tar: tar::Builder::new(bytes) }
    }

    fn add(&mut self, name: &str, content: &[u8], mode: u32) -> Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        self.tar.append_data(&mut header, name, content).with_context(|| format!("could not pack {name}"))
    }

    fn finish(self) -> Result<Vec<u8>> {
        self.tar.into_inner().context("could not end the archive")
    }
}

fn descriptor(media_type: &str, blob: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(blob), "size": blob.len()})
}

fn digest(blob: &[u8]) -> String {
    format!("sha256:{}", hex(Sha256::new_with_prefix(blob)))
}

/// Images name processors as Go does.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_binary_gives_the_same_bytes() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let binary = std::env::current_exe().expect("the test has a path");
        let image = Image::of("cartera.test/this:1", &binary).expect("an image");
        let paths = [folder.path().join("first.tar"), folder.path().join("second.tar")];
        let digests = paths.each_ref().map(|path| write(&image, path).expect("it is written"));
        assert_eq!(digests[0], digests[1]);
        let bytes = paths.map(|path| fs::read(path).expect("it was written"));
        assert!(bytes[0] == bytes[1]);
    }

    #[test]
    fn a_layout_tells_its_image_by_tag_and_by_digest() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (binary, path) = (std::env::current_exe().expect("the test has a path"), folder.path().join("image.tar"));
        for name in ["localhost:5000/this", "localhost:5000/this:1"] {
            let image = Image::of(name, &binary).expect("an image");
            let digest = write(&image, &path).expect("it is written");
            let by_digest = format!("localhost:5000/this@{digest}");
            assert_eq!(names(&path).expect("it has names"), (name.to_owned(), by_digest));
        }
    }

    #[test]
    fn the_files_of_an_image_are_laid_as_they_lie_in_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let binary = std::env::current_exe().expect("the test has a path");
        let image = Image::of("cartera.test/this:1", &binary).expect("an image");
        lay(&image, folder.path()).expect("they are copied");
        for (place, source) in &image.files {
            let laid = folder.path().join(place.strip_prefix("/").expect("it is below the root"));
            assert!(fs::read(&laid).expect("it was laid") == fs::read(source).expect("it is there"), "{place:?}");
            let mode = fs::metadata(&laid).expect("it was laid").permissions().mode();
            assert_eq!(mode & 0o777, MODE, "{place:?}");
        }
    }

    #[test]
    fn an_engine_makes_the_same_image() {
        let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../images");
        for name in ["cartera", "cartera-operator"] {
            let containerfile = fs::read_to_string(images.join(name).with_extension("Containerfile"));
            let containerfile = containerfile.expect("each image has one");
            let lines: Vec<&str> = containerfile.lines().filter(|line| !line.starts_with('#')).collect();
            let image = Image { name: name.to_owned(), entrypoint: format!("/{name}"), files: BTreeMap::new() };
            let run_as = run_as(&image);
            let expected = [
                "FROM scratch".to_owned(),
                "COPY . /".to_owned(),
                format!("USER {}", run_as["User"].as_str().expect("a user")),
                format!("WORKDIR {}", run_as["WorkingDir"].as_str().expect("a folder")),
                format!("ENTRYPOINT {}", run_as["Entrypoint"]),
            ];
            assert_eq!(lines, expected, "{name}");
        }
    }

    #[test]
    fn a_binary_that_is_not_static_brings_its_libraries() {
        let binary = std::env::current_exe().expect("the test has a path");
        let image = Image::of("cartera.test/this:1", &binary).expect("an image");
        assert!(image.files.keys().any(|file| file.to_string_lossy().contains("libc.so")), "{image:?}");
        assert!(image.files.contains_key(Path::new(&image.entrypoint)));
    }
}

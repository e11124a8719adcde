use serde_json::json;
use sha2::{Digest, Sha256};
use sync_protocol::wire::BlobHash;
use sync_protocol::wire::blob::{UPLOAD_LENGTH, UPLOAD_OFFSET};
use ureq::http::Method;

use crate::check::{Check, Section, Seen, Unmet, ensure};
use crate::http::Answer;
use crate::phone::Phone;
use crate::world::World;

pub const SECTION: Section = Section {
    name: "Blobs",
    checks: &[
        Check {
            name: "a-blob-may-be-on-its-way",
            says: "a record may name a blob before its bytes are at the server; until then it is `blob-pending`",
            run: a_blob_may_be_on_its_way,
        },
        Check {
            name: "uploads-go-on-by-offset",
            says: "`PUT` with `Upload-Offset` goes on behind what came, `HEAD` tells how much that is, anything else is \
                   `blob-offset`; 204 while bytes are missing, 201 at the end",
            run: uploads_go_on_by_offset,
        },
        Check {
            name: "a-wrong-hash-is-refused",
            says: "`blob-hash` (422): where the bytes have another hash, all of them are thrown away",
            run: a_wrong_hash_is_refused,
        },
        Check {
            name: "blobs-are-fetched-by-range",
            says: "one range of bytes is answered by 206 with `Content-Range`, or 416; several are passed over",
            run: blobs_are_fetched_by_range,
        },
        Check {
            name: "blobs-are-never-run",
            says: "the type is the field's, with `nosniff`, a sandbox, and always as an attachment",
            run: blobs_are_never_run,
        },
        Check {
            name: "a-blob-is-for-who-sees-its-field",
            says: "who sees no field that names a blob gets `not-found` (404), the same as for one that does not exist",
            run: a_blob_is_for_who_sees_its_field,
        },
    ],
};

/// Bytes that no server has, and a device whose record names them.
struct Named {
    phone: Phone,
    bytes: Vec<u8>,
    hash: BlobHash,
}

fn hash_of(bytes: &[u8]) -> BlobHash {
    BlobHash(Sha256::digest(bytes).into())
}

fn named(world: &mut World) -> Result<Named, Unmet> {
    let (subject, field) = world.files()?;
    let mut phone = world.phone()?;
    let bytes = world.name().repeat(40).into_bytes();
    let hash = hash_of(&bytes);
    let file = json!({"hash": hash.to_string(), "name": "plan.txt", "size": bytes.len(), "type": "text/plain"});
    world.make_of(&subject, &mut phone, &json!({ field: [file] }))?;
    Ok(Named { phone, bytes, hash })
}

/// The same, with its bytes at the server.
fn sent(world: &mut World) -> Result<Named, Unmet> {
    let named = named(world)?;
    let answer = put(world, &named, 0, &named.bytes)?;
    expect(&answer, 201, "all bytes were sent")?;
    Ok(named)
}

fn ask(
    world: &World,
    phone: &Phone,
    method: Method,
    hash: BlobHash,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer, Unmet> {
    let bearer = format!("Bearer {}", phone.token);
    let headers: Vec<(&str, &str)> = [("authorization", &bearer[..])].iter().chain(headers).copied().collect();
    world.send(method, &format!("/sync/v1/blob/{hash}"), &headers, body)
}

fn get(world: &World, named: &Named, headers: &[(&str, &str)]) -> Result<Answer, Unmet> {
    ask(world, &named.phone, Method::GET, named.hash, headers, b"")
}

fn put(world: &World, named: &Named, offset: usize, body: &[u8]) -> Result<Answer, Unmet> {
    let (offset, length) = (offset.to_string(), named.bytes.len().to_string());
    let headers =
        [(UPLOAD_OFFSET, &offset[..]), (UPLOAD_LENGTH, &length), ("content-type", "application/octet-stream")];
    ask(world, &named.phone, Method::PUT, named.hash, &headers, body)
}

fn expect(answer: &Answer, status: u16, when: &str) -> Result<(), Unmet> {
    ensure(answer.status == status, || format!("{when}; {status} was expected, this came: {}", answer.shown()))
}

fn a_blob_may_be_on_its_way(world: &mut World) -> Seen {
    let named = named(world)?;
    get(world, &named, &[])?.refused(404, "blob-pending")?;
    Ok("the record was made; its file is 404 blob-pending".into())
}

fn uploads_go_on_by_offset(world: &mut World) -> Seen {
    let named = named(world)?;
    let (half, whole) = (named.bytes.len() / 2, named.bytes.len());
    let first = put(world, &named, 0, &named.bytes[..half])?;
    expect(&first, 204, "half of the bytes were sent")?;
    let reached = ask(world, &named.phone, Method::HEAD, named.hash, &[], b"")?;
    let said = (reached.header(UPLOAD_OFFSET), reached.header(UPLOAD_LENGTH));
    ensure(reached.status == 200 && said == (half.to_string(), whole.to_string()), || {
        format!("{half} of {whole} bytes were sent; HEAD says {} {said:?}", reached.status)
    })?;
    get(world, &named, &[])?.refused(404, "blob-pending")?;
    let problem = put(world, &named, half + 1, &named.bytes[half + 1..])?.refused(409, "blob-offset")?;
    ensure(problem.extra.get("offset") == Some(&json!(half)), || {
        format!("`blob-offset` does not say that {half} bytes are here: {}", json!(problem))
    })?;
    expect(&put(world, &named, half, &named.bytes[half..])?, 201, "the other half was sent")?;
    let fetched = get(world, &named, &[])?;
    ensure(fetched.status == 200 && fetched.bytes == named.bytes, || {
        format!("what is fetched is not what was sent: {}", fetched.shown())
    })?;
    Ok(format!("{whole} bytes in two requests, with a wrong offset between them"))
}

fn a_wrong_hash_is_refused(world: &mut World) -> Seen {
    let named = named(world)?;
    let mut damaged = named.bytes.clone();
    damaged[0] ^= 1;
    put(world, &named, 0, &damaged)?.refused(422, "blob-hash")?;
    get(world, &named, &[])?.refused(404, "blob-pending")?;
    let reached = ask(world, &named.phone, Method::HEAD, named.hash, &[], b"")?;
    ensure(reached.status == 404 || reached.header(UPLOAD_OFFSET) == "0", || {
        format!("HEAD says that {} bytes of it are here", reached.header(UPLOAD_OFFSET))
    })?;
    expect(&put(world, &named, 0, &named.bytes)?, 201, "the right bytes were sent after wrong ones")?;
    Ok("one changed bit: 422, and nothing of it stays".into())
}

fn blobs_are_fetched_by_range(world: &mut World) -> Seen {
    let named = sent(world)?;
    let length = named.bytes.len();
    for (range, first, end) in [
        ("bytes=10-19".to_owned(), 10, 20),
        (format!("bytes={}-", length - 5), length - 5, length),
        ("bytes=-7".to_owned(), length - 7, length),
        (format!("bytes=10-{}", length * 2), 10, length),
    ] {
        let answer = get(world, &named, &[("range", &range), ("accept-encoding", "gzip, zstd")])?;
        expect(&answer, 206, &range)?;
        let said = answer.header("content-range");
        ensure(said == format!("bytes {first}-{}/{length}", end - 1), || {
            format!("{range}: Content-Range is {said:?}")
        })?;
        ensure(answer.bytes == named.bytes[first..end], || format!("{range}: the bytes are others"))?;
    }
    let beyond = get(world, &named, &[("range", &format!("bytes={length}-"))])?;
    expect(&beyond, 416, "a range behind the last byte")?;
    let several = get(world, &named, &[("range", "bytes=0-1,5-6")])?;
    ensure(several.status == 200 && several.bytes == named.bytes, || {
        format!("two ranges at once are passed over; this came: {}", several.status)
    })?;
    Ok("from the front, from the end, beyond it, and several".into())
}

fn blobs_are_never_run(world: &mut World) -> Seen {
    let named = sent(world)?;
    let answer = get(world, &named, &[])?;
    expect(&answer, 200, "a file is fetched")?;
    ensure(answer.media_type == "text/plain", || format!("the field says text/plain, it says {}", answer.media_type))?;
    let (disposition, policy) = (answer.header("content-disposition"), answer.header("content-security-policy"));
    ensure(disposition.starts_with("attachment"), || format!("Content-Disposition is {disposition:?}"))?;
    ensure(disposition.contains("plan.txt"), || format!("the name is missing from {disposition:?}"))?;
    ensure(policy.contains("sandbox"), || format!("Content-Security-Policy is {policy:?}"))?;
    let sniffing = answer.header("x-content-type-options");
    ensure(sniffing == "nosniff", || format!("X-Content-Type-Options is {sniffing:?}"))?;
    let etag = answer.header("etag");
    ensure(etag == format!("\"{}\"", named.hash), || format!("ETag is {etag:?}"))?;
    Ok(disposition)
}

fn a_blob_is_for_who_sees_its_field(world: &mut World) -> Seen {
    let named = sent(world)?;
    let absent = hash_of(b"a file that nobody has ever named");
    ask(world, &named.phone, Method::GET, absent, &[], b"")?.refused(404, "not-found")?;
    let (other, _) = world.other_in_step()?;
    let file = named.hash.to_string();
    if other.records.values().any(|told| json!(told.fields).to_string().contains(&file)) {
        return Err(Unmet::Unchecked("the other person sees every record that the first one makes".into()));
    }
    ask(world, &other, Method::GET, named.hash, &[], b"")?.refused(404, "not-found")?;
    let reached = ask(world, &other, Method::HEAD, named.hash, &[], b"")?;
    expect(&reached, 404, "HEAD, by somebody who does not see it")?;
    Ok("for somebody else it does not exist".into())
}

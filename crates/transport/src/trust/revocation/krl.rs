//! Key revocation lists of OpenSSH (its PROTOCOL.krl): the binary format. All numbers are big-endian.
//!
//! Whatever is not known here or does not end where it says makes the whole list unusable, since what is passed over
//! could be a revocation.

use std::collections::{BTreeMap, HashMap, HashSet};

use sha1::{Digest, Sha1};
use ssh_key::sha2::Sha256;
use thiserror::Error;

/// `SSHKRL\n\0`
const MAGIC: &[u8] = b"SSHKRL\n\0";
const VERSION: u32 = 1;

/// Sections of the list.
const CERTIFICATES: u8 = 1;
const EXPLICIT_KEY: u8 = 2;
const FINGERPRINT_SHA1: u8 = 3;
const SIGNATURE: u8 = 4;
const FINGERPRINT_SHA256: u8 = 5;
const EXTENSION: u8 = 255;

/// Sections within the certificates of one authority.
const SERIAL_LIST: u8 = 0x20;
const SERIAL_RANGE: u8 = 0x21;
const SERIAL_BITMAP: u8 = 0x22;
const KEY_ID: u8 = 0x23;
const CERTIFICATE_EXTENSION: u8 = 0x39;

/// The longest bitmap that OpenSSH reads, in bytes: an mpint of 16,384 bits.
const MAX_BITMAP: usize = 2048;

/// A key revocation list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Krl {
    /// As SSH sends them.
    keys: HashSet<Vec<u8>>,
    sha1: HashSet<[u8; 20]>,
    sha256: HashSet<[u8; 32]>,
    /// By the authority's key as SSH sends it; the empty one is every authority.
    certificates: HashMap<Vec<u8>, RevokedCertificates>,
}

/// What of an authority's certificates is revoked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct RevokedCertificates {
    serials: HashSet<u64>,
    /// From a first serial number to the last with it; joined where they overlap.
    ranges: BTreeMap<u64, u64>,
    bitmaps: Vec<Bitmap>,
    key_ids: HashSet<Vec<u8>>,
}

/// The bit of value 2^n is the serial number `offset + n`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bitmap {
    offset: u64,
    /// The most significant byte first.
    bytes: Vec<u8>,
}

/// Why a key revocation list is not used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KrlError {
    /// It does not begin as one.
    #[error("it is no key revocation list")]
    NoKrl,
    /// It ends in the middle, or something in it is longer than what holds it.
    #[error("it is cut off or damaged")]
    CutOff,
    /// Of another version of the format.
    #[error("its format has version {0}, known is {VERSION}")]
    Version(u32),
    /// It is signed. OpenSSH has given that up, as nothing ever made such lists.
    #[error("it is signed, which is not supported")]
    Signed,
    /// A section nobody knows.
    #[error("it has a section of the unknown type {0}")]
    Section(u8),
    /// An extension that may not be passed over.
    #[error("it has the critical extension `{0}`, which is not known")]
    Extension(String),
    /// A serial number that means no certificate, or a range that is none.
    #[error("it has a serial number or a range of them that is none")]
    Serial,
    /// A fingerprint of a wrong length.
    #[error("it has a fingerprint of {0} bytes")]
    Fingerprint(usize),
    /// A flag that is neither 0 nor 1, or what has to be empty and is not.
    #[error("it has a field with a value that is not defined")]
    Reserved,
}

impl Krl {
    /// Whether `bytes` begin as a key revocation list.
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// Reads a whole list.
    ///
    /// # Errors
    /// The first thing in it that is damaged or unknown.
    pub fn parse(bytes: &[u8]) -> Result<Self, KrlError> {
        let mut reader = Reader(bytes.strip_prefix(MAGIC).ok_or(KrlError::NoKrl)?);
        let version = reader.u32()?;
        if version != VERSION {
            return Err(KrlError::Version(version));
        }
        // The list's own version, its date, flags, what is reserved, and a comment.
        let (_, _, _) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let (_, _) = (reader.string()?, reader.string()?);
        let mut krl = Self::default();
        while !reader.is_empty() {
            let kind = reader.u8()?;
            let mut section = Reader(reader.string()?);
            match kind {
                CERTIFICATES => krl.read_certificates(section)?,
                EXPLICIT_KEY => {
                    while !section.is_empty() {
                        krl.keys.insert(section.string()?.to_vec());
                    }
                }
                FINGERPRINT_SHA1 => read_fingerprints(section, &mut krl.sha1)?,
                FINGERPRINT_SHA256 => read_fingerprints(section, &mut krl.sha256)?,
                SIGNATURE => return Err(KrlError::Signed),
                EXTENSION => read_extension(section)?,
                other => return Err(KrlError::Section(other)),
            }
        }
        Ok(krl)
    }

    /// Whether a key, as SSH sends it, is revoked by itself or by a fingerprint.
    pub fn has_key(&self, blob: &[u8]) -> bool {
        self.keys.contains(blob)
            || !self.sha1.is_empty() && self.sha1.contains(&<[u8; 20]>::from(Sha1::digest(blob)))
            || !self.sha256.is_empty() && self.sha256.contains(&<[u8; 32]>::from(Sha256::digest(blob)))
    }

    /// Whether the certificates of an authority with this identity are revoked.
    pub fn has_key_id(&self, authority: &[u8], key_id: &str) -> bool {
        self.of_authority(authority).any(|revoked| revoked.key_ids.contains(key_id.as_bytes()))
    }

    /// Whether the certificate of an authority with this serial number is revoked. Zero is what certificates have that
    /// were given none, and means nothing.
    pub fn has_serial(&self, authority: &[u8], serial: u64) -> bool {
        serial != 0 && self.of_authority(authority).any(|revoked| revoked.has_serial(serial))
    }

    fn of_authority<'a>(&'a self, authority: &[u8]) -> impl Iterator<Item = &'a RevokedCertificates> {
        [self.certificates.get(authority), self.certificates.get(&[][..])].into_iter().flatten()
    }

    fn read_certificates(&mut self, mut section: Reader<'_>) -> Result<(), KrlError> {
        let authority = section.string()?.to_vec();
        // Reserved; OpenSSH passes over what stands there.
        section.string()?;
        let revoked = self.certificates.entry(authority).or_default();
        while !section.is_empty() {
            let kind = section.u8()?;
            let mut part = Reader(section.string()?);
            match kind {
                SERIAL_LIST => {
                    while !part.is_empty() {
                        revoked.serials.insert(nonzero(part.u64()?)?);
                    }
                }
                SERIAL_RANGE => {
                    let (first, last) = (nonzero(part.u64()?)?, part.u64()?);
                    if first > last {
                        return Err(KrlError::Serial);
                    }
                    part.end()?;
                    revoked.add_range(first, last);
                }
                SERIAL_BITMAP => {
                    let offset = part.u64()?;
                    let bytes = part.mpint()?;
                    part.end()?;
                    revoked.bitmaps.push(Bitmap::new(offset, bytes)?);
                }
                KEY_ID => {
                    while !part.is_empty() {
                        revoked.key_ids.insert(part.string()?.to_vec());
                    }
                }
                CERTIFICATE_EXTENSION => read_extension(part)?,
                other => return Err(KrlError::Section(other)),
            }
        }
        Ok(())
    }
}

impl RevokedCertificates {
    fn has_serial(&self, serial: u64) -> bool {
        self.serials.contains(&serial)
            || self.ranges.range(..=serial).next_back().is_some_and(|(_, last)| *last >= serial)
            || self.bitmaps.iter().any(|bitmap| bitmap.contains(serial))
    }

    /// Ranges stay apart from each other, so that the last one that begins before a number decides.
    fn add_range(&mut self, mut first: u64, mut last: u64) {
        while let Some((&start, &end)) = self.ranges.range(..=last).next_back() {
            if end < first {
                break;
            }
            self.ranges.remove(&start);
            first = first.min(start);
            last = last.max(end);
        }
        self.ranges.insert(first, last);
    }
}

impl Bitmap {
    fn new(offset: u64, bytes: &[u8]) -> Result<Self, KrlError> {
        let bytes: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        let bits = bytes.first().map_or(0, |first| bytes.len() as u64 * 8 - u64::from(first.leading_zeros()));
        // Every bit is a number, and bit 0 of offset 0 would be the one that none has.
        let names_zero = offset == 0 && bytes.last().is_some_and(|last| last & 1 != 0);
        if names_zero || bits > 0 && offset.checked_add(bits - 1).is_none() {
            return Err(KrlError::Serial);
        }
        Ok(Self { offset, bytes })
    }

    fn contains(&self, serial: u64) -> bool {
        let Some(bit) = serial.checked_sub(self.offset) else { return false };
        let Ok(from_end) = usize::try_from(bit / 8) else { return false };
        self.bytes.iter().rev().nth(from_end).is_some_and(|byte| byte >> (bit % 8) & 1 != 0)
    }
}

fn nonzero(serial: u64) -> Result<u64, KrlError> {
    match serial {
        0 => Err(KrlError::Serial),
        serial => Ok(serial),
    }
}

fn read_fingerprints<const LENGTH: usize>(
    mut section: Reader<'_>,
    into: &mut HashSet<[u8; LENGTH]>,
) -> Result<(), KrlError> {
    while !section.is_empty() {
        let fingerprint = section.string()?;
        into.insert(fingerprint.try_into().map_err(|_| KrlError::Fingerprint(fingerprint.len()))?);
    }
    Ok(())
}

/// None is known here.
fn read_extension(mut section: Reader<'_>) -> Result<(), KrlError> {
    let name = section.string()?;
    let is_critical = match section.u8()? {
        0 => false,
        1 => true,
        _ => return Err(KrlError::Reserved),
    };
    section.string()?;
    section.end()?;
    match is_critical {
        false => Ok(()),
        true => {
            let name = String::from_utf8_lossy(name);
            let printable = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
            Err(KrlError::Extension(name.chars().take(60).map(printable).collect()))
        }
    }
}

/// What is left of the bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn end(&self) -> Result<(), KrlError> {
        if self.is_empty() { Ok(()) } else { Err(KrlError::CutOff) }
    }

    fn take<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], KrlError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(KrlError::CutOff)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, KrlError> {
        self.take().map(u8::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, KrlError> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, KrlError> {
        self.take().map(u64::from_be_bytes)
    }

    fn string(&mut self) -> Result<&'a [u8], KrlError> {
        let length = usize::try_from(self.u32()?).map_err(|_| KrlError::CutOff)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(KrlError::CutOff)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The magnitude of a number that is not negative (RFC 4251, section 5).
    fn mpint(&mut self) -> Result<&'a [u8], KrlError> {
        let bytes = self.string()?;
        match bytes.first() {
            Some(first) if first & 0x80 != 0 => Err(KrlError::Serial),
            _ if bytes.len() > MAX_BITMAP + 1 => Err(KrlError::Serial),
            _ => Ok(bytes),
        }
    }
}

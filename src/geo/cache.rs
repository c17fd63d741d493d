//! Places at the price of a memory access: what one worker has learnt from the databases.
//!
//! Three layers, because a look-up costs hundreds of nanoseconds and reading a record again as
//! much: the address table answers an address seen before; the records table answers a record
//! seen before, and a database has far fewer records than addresses; each text exists once and
//! is an id everywhere else. Warm look-ups decode nothing and allocate nothing.
//!
//! Invariant: an answer is the one that `GeoDatabases::lookup` gives. The address table has a
//! fixed size, where a newer address overwrites an older one; the other two are bounded by what
//! the databases hold. Nothing is shared between workers, so there are no locks; a reload is a
//! new cache.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use super::database::{
    Classified, GeoDatabase, GeoDatabases, PRIVATE, Place, Record, classify, read_record,
};

/// IPv4 addresses remembered, a power of two: 512 KiB.
const ADDRESSES_V4: usize = 1 << 16;

/// IPv6 addresses remembered, a power of two: 384 KiB.
const ADDRESSES_V6: usize = 1 << 14;

/// A text of one `GeoCache`. Equal ids are equal texts; ids of different caches don't compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TextId(u32);

impl TextId {
    /// No text: the place is unknown.
    pub const UNKNOWN: TextId = TextId(0);

    const PRIVATE: TextId = TextId(1);
}

/// All that is known of an address: a text for each kind of place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Places {
    /// By index of `Place::ALL`.
    texts: [TextId; 4],
}

impl Places {
    const PRIVATE: Places = Places {
        texts: [TextId::PRIVATE; 4],
    };

    /// The text for one kind, `TextId::UNKNOWN` if there is none.
    pub fn of(&self, place: Place) -> TextId {
        let [country, continent, city, asn] = self.texts;
        match place {
            Place::Country => country,
            Place::Continent => continent,
            Place::City => city,
            Place::Asn => asn,
        }
    }

    /// Takes from `other` what is unknown here.
    fn complete(&mut self, other: Places) {
        for (text, other) in self.texts.iter_mut().zip(other.texts) {
            if *text == TextId::UNKNOWN {
                *text = other;
            }
        }
    }
}

/// One worker's memory of a set of databases.
#[derive(Debug)]
pub struct GeoCache {
    databases: Arc<GeoDatabases>,
    addresses: AddressTable,
    /// For each database its records by offset.
    records: Vec<HashMap<usize, Places, foldhash::fast::FixedState>>,
    texts: Texts,
    errors: u64,
}

impl GeoCache {
    /// An empty cache. The address table is allocated at the first look-up.
    pub fn new(databases: Arc<GeoDatabases>) -> GeoCache {
        let records = databases.iter().map(|_| HashMap::default()).collect();
        GeoCache {
            databases,
            addresses: AddressTable::default(),
            records,
            texts: Texts::new(),
            errors: 0,
        }
    }

    /// The place of an address; `None` when unknown. Private addresses are `private`, other
    /// special ones unknown. Valid text from the database, not escaped.
    pub fn answer(&mut self, address: IpAddr, place: Place) -> Option<&[u8]> {
        let text = self.places(address).of(place);
        self.text(text)
    }

    /// Every place of an address at once.
    pub fn places(&mut self, address: IpAddr) -> Places {
        if let Some(places) = self.addresses.find(address) {
            return places;
        }
        let places = self.look_up(address.to_canonical());
        self.addresses.insert(address, places);
        places
    }

    /// The bytes of a text of this cache; `None` for `TextId::UNKNOWN`.
    pub fn text(&self, id: TextId) -> Option<&[u8]> {
        self.texts.of(id)
    }

    /// The databases behind this cache.
    pub fn databases(&self) -> &Arc<GeoDatabases> {
        &self.databases
    }

    /// Records that could not be read, each counted once, and look-ups that failed in the tree.
    /// Their addresses are unknown.
    pub fn errors(&self) -> u64 {
        self.errors
    }

    fn look_up(&mut self, address: IpAddr) -> Places {
        match classify(address) {
            Classified::Private => return Places::PRIVATE,
            Classified::Nobody => return Places::default(),
            Classified::Public => {}
        }
        let mut places = Places::default();
        for (database, records) in self.databases.iter().zip(&mut self.records) {
            let found = look_up_in(database, address, records, &mut self.texts);
            self.errors += u64::from(found.is_none());
            places.complete(found.unwrap_or_default());
        }
        places
    }
}

/// What one database knows; `None` when its bytes make no sense.
fn look_up_in(
    database: &GeoDatabase,
    address: IpAddr,
    records: &mut HashMap<usize, Places, foldhash::fast::FixedState>,
    texts: &mut Texts,
) -> Option<Places> {
    let Some(found) = database.find(address).ok()? else {
        return Some(Places::default());
    };
    let offset = found.offset()?;
    if let Some(places) = records.get(&offset) {
        return Some(*places);
    }
    let record = read_record(&found).ok();
    let places = record.as_ref().map(|record| texts.intern_record(record));
    // An unreadable record is remembered as unknown, so that it costs and counts once.
    records.insert(offset, places.unwrap_or_default());
    places
}

/// Direct-mapped tables of addresses, one for each family, small enough to stay near the core. An
/// entry holds the number of the places, which few addresses do not share with others; 0 is vacant.
#[derive(Debug, Default)]
struct AddressTable {
    v4: Vec<(u32, u32)>,
    v6: Vec<([u64; 2], u32)>,
    /// Places by number, from 1.
    known: Vec<Places>,
    numbers: HashMap<Places, u32, foldhash::fast::FixedState>,
}

/// Where in a table. Multiplications by odd constants without pattern; the best mixed bits are the
/// highest. An attacker who finds collisions gains only slower look-ups.
#[inline]
fn slot(high: u64, low: u64, entries: usize) -> usize {
    let mixed =
        (high.wrapping_mul(0xd6e8_feb8_6659_fd93) ^ low).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> (u64::BITS - entries.ilog2())).unwrap_or(0)
}

fn halves(address: Ipv6Addr) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h] = address.segments().map(u64::from);
    [
        a << 48 | b << 32 | c << 16 | d,
        e << 48 | f << 32 | g << 16 | h,
    ]
}

impl AddressTable {
    #[inline]
    fn find(&self, address: IpAddr) -> Option<Places> {
        let number = match address {
            IpAddr::V4(address) => {
                let bits = address.to_bits();
                let (held, number) = self.v4.get(slot(0, u64::from(bits), ADDRESSES_V4))?;
                (*held == bits).then_some(*number)
            }
            IpAddr::V6(address) => {
                let [high, low] = halves(address);
                let (held, number) = self.v6.get(slot(high, low, ADDRESSES_V6))?;
                (*held == [high, low]).then_some(*number)
            }
        };
        let known = (number? as usize).checked_sub(1)?;
        self.known.get(known).copied()
    }

    fn insert(&mut self, address: IpAddr, places: Places) {
        let number = self.number(places);
        match address {
            IpAddr::V4(address) => {
                self.v4.resize(ADDRESSES_V4, (0, 0));
                let bits = address.to_bits();
                if let Some(entry) = self.v4.get_mut(slot(0, u64::from(bits), ADDRESSES_V4)) {
                    *entry = (bits, number);
                }
            }
            IpAddr::V6(address) => {
                self.v6.resize(ADDRESSES_V6, ([0; 2], 0));
                let [high, low] = halves(address);
                if let Some(entry) = self.v6.get_mut(slot(high, low, ADDRESSES_V6)) {
                    *entry = ([high, low], number);
                }
            }
        }
    }

    /// The number of these places, given on first sight; 0 when there are too many.
    fn number(&mut self, places: Places) -> u32 {
        if let Some(number) = self.numbers.get(&places) {
            return *number;
        }
        let Ok(number) = u32::try_from(self.known.len() + 1) else {
            return 0;
        };
        self.known.push(places);
        self.numbers.insert(places, number);
        number
    }
}

/// Each text once.
#[derive(Debug)]
struct Texts {
    /// The text of id 1 is the first: id 0 is no text.
    texts: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, TextId, foldhash::fast::FixedState>,
}

impl Texts {
    fn new() -> Texts {
        let mut texts = Texts {
            texts: Vec::new(),
            ids: HashMap::default(),
        };
        // The first text gets the first id, which is `TextId::PRIVATE`.
        texts.intern(PRIVATE);
        texts
    }

    fn intern_record(&mut self, record: &Record<'_>) -> Places {
        let mut places = Places::default();
        for (text, answer) in places.texts.iter_mut().zip(record) {
            *text = answer
                .as_deref()
                .map_or(TextId::UNKNOWN, |answer| self.intern(answer));
        }
        places
    }

    fn intern(&mut self, text: &str) -> TextId {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        // More texts than ids would need a database of over 4 GiB; the limit is 1 GiB.
        let Ok(id) = u32::try_from(self.texts.len() + 1) else {
            return TextId::UNKNOWN;
        };
        let text: Arc<str> = text.into();
        self.texts.push(Arc::clone(&text));
        self.ids.insert(text, TextId(id));
        TextId(id)
    }

    fn of(&self, id: TextId) -> Option<&[u8]> {
        let index = usize::try_from(id.0).ok()?.checked_sub(1)?;
        self.texts.get(index).map(|text| text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::super::made::{self, Value, fixtures};
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    fn made_cache() -> GeoCache {
        let record = |code, city| {
            Value::map([
                ("country_code", Value::Text(code)),
                ("city", Value::Text(city)),
            ])
        };
        let bytes = made::database(
            "x",
            &[
                ("80.0.0.0/4", record("FR", "Lyon")),
                ("2a00::/12", record("GB", "London")),
            ],
        );
        let database = GeoDatabase::from_bytes(Path::new("made.mmdb"), bytes).unwrap();
        GeoCache::new(Arc::new(GeoDatabases::new(vec![database])))
    }

    #[test]
    fn answers_repeat_and_families_do_not_mix() {
        let mut cache = made_cache();
        for _time in 0..2 {
            for (address, expected) in [
                ("81.1.1.1", Some("FR")),
                ("::ffff:81.1.1.1", Some("FR")),
                ("2a00::1", Some("GB")),
                ("::81.1.1.1", None),
                ("9.9.9.9", None),
                ("::", None),
                ("10.0.0.1", Some("private")),
            ] {
                let found = cache.answer(address.parse().unwrap(), Place::Country);
                assert_eq!(found, expected.map(str::as_bytes), "{address}");
            }
        }
        assert_eq!(cache.errors(), 0);
    }

    #[test]
    fn the_table_is_allocated_by_the_first_look_up() {
        let mut cache = made_cache();
        assert_eq!(cache.addresses.v4.capacity(), 0);
        cache.places("81.1.1.1".parse().unwrap());
        assert_eq!(cache.addresses.v4.len(), ADDRESSES_V4);
        assert_eq!(cache.addresses.v6.capacity(), 0);
        cache.places("2a02:d300::1".parse().unwrap());
        assert_eq!(cache.addresses.v6.len(), ADDRESSES_V6);
    }

    #[test]
    fn without_databases_public_addresses_are_unknown() {
        let mut cache = GeoCache::new(Arc::default());
        assert_eq!(
            cache.answer("81.2.69.142".parse().unwrap(), Place::Country),
            None
        );
    }

    #[test]
    fn neighbouring_addresses_spread_over_the_table() {
        let slots: std::collections::HashSet<_> = (0..10_000u32)
            .map(|host| slot(0, u64::from(0x5102_0000 + host), ADDRESSES_V4))
            .collect();
        assert!(slots.len() > 9_000);
    }

    #[test]
    fn cached_answers_are_the_uncached_ones_in_real_files() {
        let Some(folder) = fixtures() else { return };
        let files = [
            "GeoLite2-Country-Test.mmdb",
            "GeoIP2-City-Test.mmdb",
            "GeoIP2-ISP-Test.mmdb",
        ];
        let paths: Vec<_> = files
            .iter()
            .map(|name| folder.join("test-data").join(name))
            .collect();
        let databases = Arc::new(GeoDatabases::open(&paths).unwrap());
        let mut cache = GeoCache::new(Arc::clone(&databases));
        for step in 0..20_000u32 {
            let address = IpAddr::from(step.wrapping_mul(2_654_435_761).to_be_bytes());
            for place in Place::ALL {
                let plain = databases.lookup(address, place);
                assert_eq!(
                    cache.answer(address, place),
                    plain.as_deref().map(str::as_bytes)
                );
            }
        }
    }

    proptest! {
        #[test]
        fn cached_answers_are_the_uncached_ones(bits in prop::collection::vec(any::<(u8, u128)>(), 1..40)) {
            let mut cache = made_cache();
            let databases = Arc::clone(cache.databases());
            for (family, bits) in bits.iter().chain(&bits) {
                let bytes = bits.to_be_bytes();
                let address = match family % 3 {
                    0 => IpAddr::from([80 + bytes[0] % 20, bytes[1], 0, 1]),
                    1 => IpAddr::from(((0x2a << 120) | (bits >> 8)).to_be_bytes()),
                    _ => IpAddr::from(bytes),
                };
                for place in Place::ALL {
                    let plain = databases.lookup(address, place);
                    prop_assert_eq!(cache.answer(address, place), plain.as_deref().map(str::as_bytes));
                }
            }
        }
    }
}

//! The name of a series as bytes that sort the way series are shown.
//!
//! A key is the metric's number, big endian, then each label value closed by two bytes that no
//! value can hold: 0 inside a value is written as `0 255`, the end as `0 1`. Byte order of keys is
//! therefore order by metric, then by label values.

/// Builds keys into one reused buffer.
#[derive(Debug, Default)]
pub struct KeyBuilder {
    key: Vec<u8>,
}

impl KeyBuilder {
    /// Starts the key of a series of metric number `metric`.
    pub fn start(&mut self, metric: usize) -> &mut KeyBuilder {
        self.key.clear();
        let metric = u16::try_from(metric).unwrap_or(u16::MAX);
        self.key.extend_from_slice(&metric.to_be_bytes());
        self
    }

    /// Appends the next label value.
    pub fn label(&mut self, value: &[u8]) -> &mut KeyBuilder {
        for &byte in value {
            self.key.push(byte);
            if byte == 0 {
                self.key.push(255);
            }
        }
        self.key.extend_from_slice(&[0, 1]);
        self
    }

    /// The key built so far.
    pub fn key(&self) -> &[u8] {
        &self.key
    }
}

/// The metric number in a key.
pub fn metric_of(key: &[u8]) -> usize {
    match key {
        [high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
        _ => usize::from(u16::MAX),
    }
}

/// The label values in a key, in the metric's label order.
pub fn labels_of(key: &[u8]) -> Vec<Vec<u8>> {
    let mut labels = Vec::new();
    let mut value = Vec::new();
    let mut bytes = key.iter().skip(2);
    while let Some(&byte) = bytes.next() {
        match byte {
            0 if bytes.next() == Some(&1) => labels.push(std::mem::take(&mut value)),
            byte => value.push(byte),
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_give_their_labels_back_and_sort_like_them(
            a in (0usize..3, prop::collection::vec(prop::collection::vec(0u8..3, 0..4), 2)),
            b in (0usize..3, prop::collection::vec(prop::collection::vec(0u8..3, 0..4), 2)),
        ) {
            let key = |(metric, labels): &(usize, Vec<Vec<u8>>)| {
                let mut builder = KeyBuilder::default();
                builder.start(*metric);
                for label in labels {
                    builder.label(label);
                }
                builder.key().to_vec()
            };
            prop_assert_eq!(metric_of(&key(&a)), a.0);
            prop_assert_eq!(&labels_of(&key(&a)), &a.1);
            prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
        }
    }
}

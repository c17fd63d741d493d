//! stub
use super::*;
impl Store {
    /// stub
    pub fn commit(&mut self, batch: &Batch<'_>) -> Result<Committed, StoreError> {
        todo!()
    }
}

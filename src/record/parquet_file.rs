//! One Parquet file of metrics: columns `step` (int64), `run` (int32) and one nullable float64 per metric.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, new_null_array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::row::MetricsRow;
use crate::error::{Error, Result};
use crate::files;

/// Key under which every file names the version of gmatrix that wrote it.
const VERSION_KEY: &str = "gmatrix.version";
/// Key under which a joined file says which checkpoint intervals it holds, in order: `step:rows step:rows …`.
const CUTS_KEY: &str = "gmatrix.cuts";

/// The rows between two checkpoints: the step of the second, and how many they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// Step of the checkpoint that ended the interval.
    pub step: u64,
    /// Rows of the interval.
    pub rows: u64,
}

/// An opened metrics file whose footer has been read.
pub(super) struct MetricsFile {
    path: PathBuf,
    builder: ParquetRecordBatchReaderBuilder<File>,
}

impl MetricsFile {
    /// Opens a file; `None` where there is none.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        let file = match File::open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|e| Error::io(path, e))?,
        };
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| damaged(path, &e))?;
        let opened = Self {
            path: path.to_path_buf(),
            builder,
        };
        for field in opened.schema().fields() {
            let expected = data_type(field.name());
            if *field.data_type() != expected {
                let found = field.data_type();
                let name = field.name();
                return Err(Error::io(
                    path,
                    format!("column {name} is {found}, expected {expected}"),
                ));
            }
        }
        for key in ["step", "run"] {
            if opened.schema().column_with_name(key).is_none() {
                return Err(Error::io(
                    path,
                    format!("has no column {key}: not a metrics file of gmatrix"),
                ));
            }
        }
        Ok(Some(opened))
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        self.builder.schema()
    }

    /// How many rows it holds.
    pub fn rows(&self) -> u64 {
        u64::try_from(self.builder.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// The intervals of a joined file.
    pub fn cuts(&self) -> Result<Vec<Cut>> {
        let entries = self.builder.metadata().file_metadata().key_value_metadata();
        let text = entries
            .and_then(|all| all.iter().find(|entry| entry.key == CUTS_KEY))
            .and_then(|entry| entry.value.as_deref())
            .ok_or_else(|| {
                Error::io(
                    &self.path,
                    format!("its metadata lack {CUTS_KEY}: gmatrix did not join it"),
                )
            })?;
        text.split_whitespace()
            .map(|word| {
                let (step, rows) = word.split_once(':')?;
                Some(Cut {
                    step: step.parse().ok()?,
                    rows: rows.parse().ok()?,
                })
            })
            .collect::<Option<_>>()
            .ok_or_else(|| {
                Error::io(
                    &self.path,
                    format!("its metadata {CUTS_KEY} are {text:?}, expected step:rows"),
                )
            })
    }

    /// Its batches of rows, at most the first `limit` rows.
    pub fn batches(self, limit: u64) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let path = self.path;
        let reader: ParquetRecordBatchReader =
            self.builder.with_limit(limit).build().map_err(|e| damaged(&path, &e))?;
        Ok(reader.map(move |batch| batch.map_err(|e| Error::io(&path, format!("damaged: {e}")))))
    }
}

/// The rows as one batch.
pub(super) fn batch_of(columns: &[String], rows: &[MetricsRow]) -> RecordBatch {
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len() + 2);
    // Steps fit: a run has at most 2^32 of them.
    arrays.push(Arc::new(Int64Array::from_iter_values(
        rows.iter().map(|r| r.step as i64),
    )));
    arrays.push(Arc::new(Int32Array::from_iter_values(
        rows.iter().map(|r| r.run as i32),
    )));
    for c in 0..columns.len() {
        let measured = rows.iter().map(|row| Some(row.values[c]).filter(|v| !v.is_nan()));
        arrays.push(Arc::new(measured.collect::<Float64Array>()));
    }
    let mut fields = vec![field("step"), field("run")];
    fields.extend(columns.iter().map(|name| field(name)));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("all columns have one value per row")
}

/// All fields of several schemas, in the order in which they first appear.
pub(super) fn union<'a>(schemas: impl Iterator<Item = &'a SchemaRef>) -> SchemaRef {
    let mut fields: Vec<Arc<Field>> = Vec::new();
    for schema in schemas {
        for field in schema.fields() {
            if !fields.iter().any(|known| known.name() == field.name()) {
                fields.push(Arc::clone(field));
            }
        }
    }
    Arc::new(Schema::new(fields))
}

/// Replaces `path` by a table of any columns.
pub(crate) fn write_table(path: &Path, table: RecordBatch) -> Result<()> {
    let schema = table.schema();
    write(path, &schema, None, [Ok(table)].into_iter())
}

/// Replaces `path` by the batches; a column that a batch lacks is null there.
pub(super) fn write(
    path: &Path,
    schema: &SchemaRef,
    cuts: Option<&[Cut]>,
    batches: impl Iterator<Item = Result<RecordBatch>>,
) -> Result<()> {
    let mut metadata = vec![KeyValue::new(
        VERSION_KEY.to_owned(),
        env!("CARGO_PKG_VERSION").to_owned(),
    )];
    if let Some(cuts) = cuts {
        let words: Vec<String> = cuts.iter().map(|cut| format!("{}:{}", cut.step, cut.rows)).collect();
        metadata.push(KeyValue::new(CUTS_KEY.to_owned(), words.join(" ")));
    }
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_key_value_metadata(Some(metadata))
        .build();
    // A source that cannot be read is not the fault of the file that is written: its error is kept apart.
    let mut source_error = None;
    let written = files::replace(path, |file| {
        let mut writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties)).map_err(io_error)?;
        for batch in batches {
            let batch = match batch {
                Ok(batch) => conform(&batch, schema),
                Err(e) => {
                    source_error = Some(e);
                    return Err(io::Error::other("its source cannot be read"));
                }
            };
            writer.write(&batch).map_err(io_error)?;
        }
        writer.close().map_err(io_error)?;
        Ok(())
    });
    match source_error {
        Some(e) => Err(e),
        None => written,
    }
}

fn conform(batch: &RecordBatch, schema: &SchemaRef) -> RecordBatch {
    let column = |field: &Arc<Field>| {
        batch
            .column_by_name(field.name())
            .map_or_else(|| new_null_array(field.data_type(), batch.num_rows()), Arc::clone)
    };
    let arrays = schema.fields().iter().map(column).collect();
    RecordBatch::try_new(Arc::clone(schema), arrays).expect("types were checked when the file was opened")
}

fn field(name: &str) -> Field {
    Field::new(name, data_type(name), !matches!(name, "step" | "run"))
}

fn data_type(name: &str) -> DataType {
    match name {
        "step" => DataType::Int64,
        "run" => DataType::Int32,
        _ => DataType::Float64,
    }
}

fn damaged(path: &Path, error: &ParquetError) -> Error {
    Error::io(path, format!("truncated or not a Parquet file: {error}"))
}

/// The system's own error where there is one ("No space left on device"), without the wrapping of Parquet.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(e) => *e,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}

/// The values of a float column with NaN for null.
pub(super) fn floats(array: &ArrayRef) -> impl Iterator<Item = f64> {
    let array = array.as_any().downcast_ref::<Float64Array>();
    array
        .expect("the type was checked when the file was opened")
        .iter()
        .map(|v| v.unwrap_or(f64::NAN))
}

/// The steps and runs of a batch.
pub(super) fn keys(batch: &RecordBatch) -> impl Iterator<Item = (u64, u32)> {
    let column = |name| batch.column_by_name(name).expect("checked when the file was opened");
    let steps = column("step").as_any().downcast_ref::<Int64Array>();
    let runs = column("run").as_any().downcast_ref::<Int32Array>();
    let steps = steps.expect("checked when the file was opened");
    let runs = runs.expect("checked when the file was opened");
    let pairs = steps.values().iter().zip(runs.values().iter());
    pairs.map(|(step, run)| (*step as u64, *run as u32))
}

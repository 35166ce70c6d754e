/*
 * Statistics of the gradients of single samples, from the activations and cotangents that any program captured:
 * norms, coherence, noise, the Gram matrix and its effective ranks. See docs/c.md for a complete program.
 *
 * Every function that can fail returns a gm_status. After one other than GM_STATUS_OK, gm_last_error() gives the
 * reason as one line, for the calling thread. Strings are UTF-8 and end in 0. Objects may be moved between threads;
 * one object must not be changed by two threads at once.
 */

#ifndef GMATRIX_H
#define GMATRIX_H

/* Generated from capi/src by its test header; do not edit. */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// How a call ended.
typedef enum {
  // It did what it says.
  GM_STATUS_OK = 0,
  // A pointer is null, a string is not UTF-8, or an option is not one of those offered.
  GM_STATUS_ARGUMENT = 1,
  // Sizes do not fit together.
  GM_STATUS_SHAPE = 2,
  // A number is not finite, leaves the range of the precision, or a solver did not converge.
  GM_STATUS_NUMERIC = 3,
  // A file cannot be read, or does not hold what it should.
  GM_STATUS_IO = 4,
  // Anything else that was refused.
  GM_STATUS_FAILED = 5,
  // A fault of the library; the object of the call must not be used any more, only freed.
  GM_STATUS_PANIC = 6,
} gm_status;

// Precision of all real numbers in a computation; sums, norms and spectra are in double precision always.
typedef enum {
  // Single.
  GM_PRECISION_F32 = 0,
  // Double.
  GM_PRECISION_F64 = 1,
} gm_precision;

// Captured activations and cotangents of n samples. The gradient of sample i at a linear site is
// sum over t of `a[i,t] b[i,t]^T`, where b is the gradient of the SUM of the samples' losses with respect to the output.
typedef struct gm_sites gm_sites;

// What was found: scalars under the names of docs/columns.md, and the Gram matrix where it was asked for.
typedef struct gm_statistics gm_statistics;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Why the last call of this thread that returns a status failed, as one line; empty if it did not. Valid until the
// next such call of the thread.
const char *gm_last_error(void);

// No sites yet, of n samples. Free with gm_sites_free.
//
// # Safety
// `out` must be valid for a write.
gm_status gm_sites_new(size_t n, gm_sites **out);

// Sites of a safetensors file, as gmatrix gram --sites reads it. Free with gm_sites_free.
//
// # Safety
// `path` must end in 0; `out` must be valid for a write.
gm_status gm_sites_read(const char *path, gm_sites **out);

// Adds y = x W, or y = x W + c with bias: a [n, positions, d_in] and b [n, positions, d_out], row-major. They are
// copied.
//
// # Safety
// `sites` must not be freed, `name` must end in 0, and the arrays must have these lengths.
gm_status gm_sites_linear(gm_sites *sites,
                          const char *name,
                          const double *a,
                          const double *b,
                          size_t positions,
                          size_t d_in,
                          size_t d_out,
                          bool bias);

// gm_sites_linear from single precision.
//
// # Safety
// As gm_sites_linear.
gm_status gm_sites_linear_f32(gm_sites *sites,
                              const char *name,
                              const float *a,
                              const float *b,
                              size_t positions,
                              size_t d_in,
                              size_t d_out,
                              bool bias);

// Adds `y = W[id]`: ids [n, positions] into a table of so many rows, and b [n, positions, d_out], row-major. rows = 0
// stands for the largest id plus one.
//
// # Safety
// As gm_sites_linear.
gm_status gm_sites_embedding(gm_sites *sites,
                             const char *name,
                             const uint32_t *ids,
                             const double *b,
                             size_t positions,
                             size_t d_out,
                             size_t rows);

// Adds a parameter by its gradients of the single samples, g [n, size], row-major.
//
// # Safety
// As gm_sites_linear.
gm_status gm_sites_materialised(gm_sites *sites, const char *name, const double *g, size_t size);

// Frees sites; null is allowed.
//
// # Safety
// Null, or from this library and not yet freed.
void gm_sites_free(gm_sites *sites);

// All statistics of the samples' gradients. precision is a gm_precision; with gram the Gram matrix is kept. Free with
// gm_statistics_free.
//
// # Safety
// `sites` must not be freed; `out` must be valid for a write.
gm_status gm_sites_statistics(const gm_sites *sites,
                              uint32_t precision,
                              bool gram,
                              gm_statistics **out);

// A scalar by its name, such as "raw.erank_sigma"; NaN where it is not defined for these samples.
//
// # Safety
// `statistics` must not be freed, `name` must end in 0, and `out` must be valid for a write.
gm_status gm_statistics_scalar(const gm_statistics *statistics, const char *name, double *out);

// How many scalars there are.
//
// # Safety
// `statistics` is null or not freed.
size_t gm_statistics_count(const gm_statistics *statistics);

// Name of scalar i, in alphabetic order; null if there is none. Valid until the statistics are freed.
//
// # Safety
// As gm_statistics_count.
const char *gm_statistics_name(const gm_statistics *statistics, size_t i);

// Value of scalar i; NaN if it is not defined, or if there is none.
//
// # Safety
// As gm_statistics_count.
double gm_statistics_value(const gm_statistics *statistics, size_t i);

// The Gram matrix [n, n], row-major; null if it was not asked for. n is written where it is not null. Valid until the
// statistics are freed.
//
// # Safety
// As gm_statistics_count; `n` is null or valid for a write.
const double *gm_statistics_gram(const gm_statistics *statistics,
                                 size_t *n);

// Frees statistics; null is allowed.
//
// # Safety
// Null, or from this library and not yet freed.
void gm_statistics_free(gm_statistics *statistics);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* GMATRIX_H */

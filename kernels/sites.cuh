// sites — entries of a site table, where a site's rows lie, and what it adds to a tile of the Gram matrix.
// import tile

enum : u32 {
    LINEAR = 0,
    LINEAR_BIAS = 1,
    EMBEDDING = 2,
    POSITION_SITE = 3,
    MATERIALISED = 4,
};

/// Rows spread over an arena: first element, stride over samples and stride over positions.
struct Spread {
    u64 first;
    u64 stride_n;
    u64 stride_t;

    __device__ u64 row(u64 sample, u64 position) const { return first + sample * stride_n + position * stride_t; }
};

struct SiteEntry {
    u32 kind;
    u64 positions;
    /// 0 where there is no a.
    u64 d_in;
    u64 d_out;
    Spread a;
    Spread b;
    /// What to add to an id per position.
    u64 id_step;

    __device__ bool one_position() const { return kind == POSITION_SITE || kind == MATERIALISED; }
};

__device__ inline SiteEntry site_at(const u32* sites, u64 number) {
    const u32* entry = sites + number * SITE_WORDS;
    return SiteEntry{entry[0],
                     entry[1],
                     entry[0] <= LINEAR_BIAS ? entry[2] : 0,
                     entry[3],
                     Spread{entry[4], entry[5], entry[6]},
                     Spread{entry[7], entry[8], entry[9]},
                     entry[10]};
}

/// What the sites of samples are read from.
template <class T> struct Sources {
    const T* activations;
    const T* cotangents;
    const u32* ids;
    const u32* sites;
    u64 n;
    u64 count;

    __device__ u64 id(const SiteEntry& site, u64 sample, u64 position) const {
        return ids[position * n + sample] + position * site.id_step;
    }
};

/// sums = the tile of K whose first samples are i0 and j0: sites, then positions (t, s), then columns, ascending. Every
/// thread must call it.
template <class T>
__device__ inline void gram_part(T (&sums)[PART][PART], T* left_tile, T* right_tile, const Sources<T>& from, u64 i0,
                                 u64 j0) {
    UNROLL
    for (u32 i = 0; i < PART; i++) {
        UNROLL
        for (u32 j = 0; j < PART; j++) {
            sums[i][j] = T(0);
        }
    }
    for (u64 number = 0; number < from.count; number++) {
        const SiteEntry site = site_at(from.sites, number);
        for (u64 t = 0; t < site.positions; t++) {
            const u64 s_first = site.one_position() ? t : 0;
            const u64 s_end = site.one_position() ? t + 1 : site.positions;
            for (u64 s = s_first; s < s_end; s++) {
                u32 counts = FULL;
                if (site.kind == EMBEDDING) {
                    counts = 0;
                    UNROLL
                    for (u32 k = 0; k < PART * PART; k++) {
                        const u64 i = i0 + part_row() + k / PART;
                        const u64 j = j0 + part_column() + k % PART;
                        if (i < from.n && j < from.n && from.id(site, i, t) == from.id(site, j, s)) {
                            counts |= 1u << k;
                        }
                    }
                    if (!__syncthreads_or(counts != 0)) {
                        continue;
                    }
                }
                T a[PART][PART] = {};
                T b[PART][PART] = {};
                if (site.kind <= LINEAR_BIAS) {
                    multiply(
                        a, left_tile, right_tile, 0, site.d_in,
                        [&](u32 row, u64 k) {
                            return i0 + row < from.n ? from.activations[site.a.row(i0 + row, t) + k] : T(0);
                        },
                        [&](u32 row, u64 k) {
                            return j0 + row < from.n ? from.activations[site.a.row(j0 + row, s) + k] : T(0);
                        });
                }
                multiply(
                    b, left_tile, right_tile, 0, site.d_out,
                    [&](u32 row, u64 k) {
                        return i0 + row < from.n ? from.cotangents[site.b.row(i0 + row, t) + k] : T(0);
                    },
                    [&](u32 row, u64 k) {
                        return j0 + row < from.n ? from.cotangents[site.b.row(j0 + row, s) + k] : T(0);
                    });
                const T bias = site.kind == LINEAR_BIAS ? T(1) : T(0);
                UNROLL
                for (u32 k = 0; k < PART * PART; k++) {
                    T& sum = sums[k / PART][k % PART];
                    const T product = b[k / PART][k % PART];
                    if (site.kind <= LINEAR_BIAS) {
                        sum = fma(a[k / PART][k % PART] + bias, product, sum);
                    } else if (counts >> k & 1) {
                        sum += product;
                    }
                }
            }
        }
    }
}

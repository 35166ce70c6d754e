// ritz — leading eigenpairs of a large symmetric matrix in f32, by block Lanczos with full reorthogonalisation. Needs
// what `columns` needs, `columns` and `tridiagonal`; all threads must call its functions.

/// An eigenpair is taken where its residual is at most this share of its eigenvalue: its value is then off by the square
/// of it.
const CONVERGED = 1e-3;

/// A new direction counts where more than this share of the longest product is left beside those that are known.
const INDEPENDENT = 1e-5;

/// Eigenvalues of the projected matrix, the largest first, the residuals of their pairs, and where each went.
var<workgroup> values: array<f32, KRYLOV>;
var<workgroup> residuals: array<f32, KRYLOV>;
var<workgroup> places: array<u32, KRYLOV>;

/// Of each reflector half its squared length, and what it leaves below the diagonal.
var<workgroup> betas: array<f32, KRYLOV>;
var<workgroup> subdiagonal: array<f32, KRYLOV>;

/// Searches the Krylov space of a block of random signs; returns its dimensions. The first vectors of the space are then
/// eigenvectors, the largest eigenvalue's first, with their images.
fn search_space(run: u32, lane: u32) -> u32 {
    fill_signs(run, 0u, KRYLOV_BLOCK, lane);
    var length = sqrt(f32(launch.n));
    var dimensions = 0u;
    var count = KRYLOV_BLOCK;
    loop {
        let known = append_independent(dimensions, count, length, lane);
        count = known - dimensions;
        if count == 0u {
            break;
        }
        take_columns(dimensions, count, lane);
        multiply(run, lane);
        let squares = column_products(image0, image0, lane);
        var longest = 0.0;
        for (var q = 0u; q < PAIRED; q += 1u) {
            longest = max(longest, sqrt(max(squares[q].x, squares[q].y)));
        }
        length = select(max(longest, length), longest, dimensions == 0u);
        keep_images(dimensions, count, lane);
        dimensions = known;
    }
    if dimensions > 0u {
        project(dimensions, lane);
        reduce(dimensions, lane);
        solve(dimensions, lane);
        combine(dimensions, lane);
    }
    return dimensions;
}

/// Orthonormalises the first columns of the block against the known vectors, and appends what is left of them, where that
/// is more than rounding beside vectors of this length. Returns how many are known then.
fn append_independent(dimensions: u32, count: u32, length: f32, lane: u32) -> u32 {
    var known = dimensions;
    for (var column = 0u; column < count && known < width; column += 1u) {
        var left = 1.0;
        var first = 0.0;
        // What was small is rid of the rounding that was left in it when it has length 1.
        for (var turn = 0u; turn < 3u; turn += 1u) {
            left = project_column(column, known, 1.0 / left, lane);
            if turn == 0u {
                first = left;
                if !(first > INDEPENDENT * length) {
                    break;
                }
            }
        }
        if !(first > INDEPENDENT * length) {
            continue;
        }
        for (var k = lane; k < launch.n; k += LANES) {
            room[space0 + k * width + known] = vec2(room[block0 + k * PAIRED + column / 2u][column % 2u] / left, 0.0);
        }
        storageBarrier();
        known += 1u;
    }
    return known;
}

/// Multiplies a column of the block and takes from it what lies along the known vectors; returns the length of the rest.
fn project_column(column: u32, known: u32, by: f32, lane: u32) -> f32 {
    let n = launch.n;
    let q = column / 2u;
    let side = column % 2u;
    if lane < known {
        var sum = 0.0;
        for (var first = 0u; first < n; first += RUN) {
            var some = 0.0;
            for (var k = first; k < min(first + RUN, n); k += 1u) {
                some = fma(room[space0 + k * width + lane].x, by * room[block0 + k * PAIRED + q][side], some);
            }
            sum += some;
        }
        pool[lane].x = sum;
    }
    workgroupBarrier();
    var square = 0.0;
    for (var k = lane; k < n; k += LANES) {
        var rest = by * room[block0 + k * PAIRED + q][side];
        for (var other = 0u; other < known; other += 1u) {
            rest = fma(-room[space0 + k * width + other].x, pool[other].x, rest);
        }
        room[block0 + k * PAIRED + q][side] = rest;
        square = fma(rest, rest, square);
    }
    storageBarrier();
    return sqrt(sum_threads(lane, square));
}

/// Makes the block of `count` vectors of the space, and zeros.
fn take_columns(first: u32, count: u32, lane: u32) {
    for (var k = lane; k < launch.n; k += LANES) {
        for (var column = 0u; column < KRYLOV_BLOCK; column += 1u) {
            var entry = 0.0;
            if column < count {
                entry = room[space0 + k * width + first + column].x;
            }
            room[block0 + k * PAIRED + column / 2u][column % 2u] = entry;
        }
    }
    storageBarrier();
}

/// Puts the images beside their vectors, and makes the next block of them.
fn keep_images(first: u32, count: u32, lane: u32) {
    for (var k = lane; k < launch.n; k += LANES) {
        for (var column = 0u; column < count; column += 1u) {
            room[space0 + k * width + first + column].y = room[image0 + k * PAIRED + column / 2u][column % 2u];
        }
        for (var q = 0u; q < PAIRED; q += 1u) {
            room[block0 + k * PAIRED + q] = room[image0 + k * PAIRED + q];
        }
    }
    storageBarrier();
}

/// The matrix between the vectors of the space, made symmetric.
fn project(dimensions: u32, lane: u32) {
    let n = launch.n;
    for (var top = 0u; top < dimensions; top += KRYLOV_BLOCK) {
        if lane < dimensions {
            var sums = array<f32, KRYLOV_BLOCK>();
            for (var first = 0u; first < n; first += RUN) {
                var some = array<f32, KRYLOV_BLOCK>();
                for (var k = first; k < min(first + RUN, n); k += 1u) {
                    let image = room[space0 + k * width + lane].y;
                    for (var row = 0u; row < KRYLOV_BLOCK; row += 1u) {
                        let vector = room[space0 + k * width + min(top + row, dimensions - 1u)].x;
                        some[row] = fma(vector, image, some[row]);
                    }
                }
                for (var row = 0u; row < KRYLOV_BLOCK; row += 1u) {
                    sums[row] += some[row];
                }
            }
            for (var row = 0u; row < KRYLOV_BLOCK && top + row < dimensions; row += 1u) {
                room[small0 + (top + row) * width + lane].x = sums[row];
            }
        }
    }
    storageBarrier();
    if lane < dimensions {
        for (var other = 0u; other < lane; other += 1u) {
            let one = small0 + lane * width + other;
            let two = small0 + other * width + lane;
            let mean = 0.5 * (room[one].x + room[two].x);
            room[one].x = mean;
            room[two].x = mean;
        }
    }
    storageBarrier();
}

/// Householder's reduction of the projected matrix to a tridiagonal. The reflector I - v v' / beta of step k stands in row
/// k, behind the matrix.
fn reduce(dimensions: u32, lane: u32) {
    for (var k = 0u; k + 2u < dimensions; k += 1u) {
        let first = k + 1u;
        let is_right = lane >= first && lane < dimensions;
        var own = 0.0;
        if is_right {
            own = room[small0 + lane * width + k].x;
        }
        let square = select(0.0, own * own, lane > first);
        let tail = sum_threads(lane, square);
        let head = room[small0 + first * width + k].x;
        if !(tail > 0.0) {
            // Nothing to clear: the entry itself is what stands below.
            if lane == 0u {
                betas[k] = 0.0;
                subdiagonal[k] = head;
            }
            continue;
        }
        // v = x - alpha e_1 with alpha = -sign(x_1) |x|, and beta = v.v / 2 = |x| (|x| + |x_1|).
        let norm = sqrt(tail + head * head);
        let alpha = select(-norm, norm, head < 0.0);
        let beta = norm * (norm + abs(head));
        if lane == first {
            own = head - alpha;
        }
        if is_right {
            room[small0 + k * width + lane].y = own;
        }
        if lane == 0u {
            betas[k] = beta;
            subdiagonal[k] = alpha;
        }
        storageBarrier();
        // A - v w' - w v' with w = p - v (v.p) / (2 beta), p = A v / beta
        var p = 0.0;
        if is_right {
            for (var i = first; i < dimensions; i += 1u) {
                p = fma(room[small0 + i * width + lane].x, room[small0 + k * width + i].y, p);
            }
            p /= beta;
        }
        let half = sum_threads(lane, p * own) / (beta + beta);
        let change = fma(-half, own, p);
        pool[lane].x = change;
        workgroupBarrier();
        if is_right {
            for (var i = first; i < dimensions; i += 1u) {
                let both = fma(room[small0 + k * width + i].y, change, pool[i].x * own);
                room[small0 + i * width + lane].x -= both;
            }
        }
        storageBarrier();
    }
    workgroupBarrier();
}

/// Eigenvalues of the reduced matrix, the largest first, and eigenvectors of the projected one as the columns of `small`:
/// a thread follows a row.
fn solve(dimensions: u32, lane: u32) {
    for (var k = 0u; k < dimensions; k += 1u) {
        diagonal[k] = room[small0 + k * (width + 1u)].x;
        row[k] = select(0.0, 1.0, k == lane);
        if k + 2u < dimensions {
            below[k] = subdiagonal[k];
        } else if k + 1u < dimensions {
            below[k] = room[small0 + (k + 1u) * width + k].x;
        }
    }
    for (var k = 0u; k + 2u < dimensions; k += 1u) {
        if betas[k] > 0.0 {
            var along = 0.0;
            for (var i = k + 1u; i < dimensions; i += 1u) {
                along = fma(row[i], room[small0 + k * width + i].y, along);
            }
            along /= betas[k];
            for (var i = k + 1u; i < dimensions; i += 1u) {
                row[i] = fma(-along, room[small0 + k * width + i].y, row[i]);
            }
        }
    }
    solve_tridiagonal(dimensions);
    if lane < dimensions {
        let own = diagonal[lane];
        var place = 0u;
        for (var k = 0u; k < dimensions; k += 1u) {
            place += select(0u, 1u, diagonal[k] > own || (diagonal[k] == own && k < lane));
        }
        places[lane] = place;
        values[place] = own;
    }
    workgroupBarrier();
    storageBarrier();
    if lane < dimensions {
        for (var k = 0u; k < dimensions; k += 1u) {
            room[small0 + lane * width + places[k]].x = row[k];
        }
    }
    storageBarrier();
}

/// Turns the vectors of the space and their images into eigenvectors and theirs, with residuals.
fn combine(dimensions: u32, lane: u32) {
    for (var k = lane; k < launch.n; k += LANES) {
        // The tridiagonal is done with.
        for (var other = 0u; other < dimensions; other += 1u) {
            let both = room[space0 + k * width + other];
            row[other] = both.x;
            below[other] = both.y;
        }
        for (var place = 0u; place < dimensions; place += 1u) {
            var sum = vec2(0.0);
            for (var other = 0u; other < dimensions; other += 1u) {
                sum = fma(vec2(row[other], below[other]), vec2(room[small0 + other * width + place].x), sum);
            }
            room[space0 + k * width + place] = sum;
        }
    }
    storageBarrier();
    if lane < dimensions {
        var square = 0.0;
        for (var k = 0u; k < launch.n; k += 1u) {
            let both = room[space0 + k * width + lane];
            let rest = fma(-values[lane], both.x, both.y);
            square = fma(rest, rest, square);
        }
        residuals[lane] = sqrt(square);
    }
    workgroupBarrier();
}

/// How many eigenpairs, from the largest on, were found well: all, where the whole space was searched.
fn found_well(dimensions: u32) -> u32 {
    if dimensions == launch.n {
        return dimensions;
    }
    var count = 0u;
    while count < dimensions && values[count] > 0.0 && residuals[count] <= CONVERGED * values[count] {
        count += 1u;
    }
    return count;
}

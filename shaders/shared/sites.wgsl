// sites — entries of a site table, and where a site's rows lie in the arenas of activations and cotangents.

const LINEAR = 0u;
const LINEAR_BIAS = 1u;
const EMBEDDING = 2u;
const POSITION = 3u;
const MATERIALISED = 4u;

struct Site {
    kind: u32,
    positions: u32,
    d_in: u32,
    d_out: u32,
    /// First element, stride over samples and stride over positions of a.
    a: vec3<u32>,
    /// The same of b.
    b: vec3<u32>,
    /// What to add to an id per position.
    id_step: u32,
}

/// Entry `number` of the table; d_in is 0 where there is no a.
fn site_at(run: u32, number: u32) -> Site {
    let k = sites_at(run) + number * SITE_WORDS;
    let kind = sites[k];
    return Site(
        kind,
        sites[k + 1u],
        select(0u, sites[k + 2u], kind <= LINEAR_BIAS),
        sites[k + 3u],
        vec3(sites[k + 4u], sites[k + 5u], sites[k + 6u]),
        vec3(sites[k + 7u], sites[k + 8u], sites[k + 9u]),
        sites[k + 10u],
    );
}

fn a_row(run: u32, site: Site, sample: u32, position: u32) -> u32 {
    return activations_at(run) + site.a.x + sample * site.a.y + position * site.a.z;
}

fn b_row(run: u32, site: Site, sample: u32, position: u32) -> u32 {
    return cotangents_at(run) + site.b.x + sample * site.b.y + position * site.b.z;
}

fn id_of(run: u32, site: Site, sample: u32, position: u32) -> u32 {
    return ids[ids_at(run) + position * launch.n + sample] + position * site.id_step;
}

/// What a product of cotangents is multiplied with: a.a (+ 1 with a bias), or 1 where there is no a.
fn weight_of(site: Site, product: f32) -> f32 {
    return select(select(product, product + 1.0, site.kind == LINEAR_BIAS), 1.0, site.kind >= EMBEDDING);
}

/* Every misuse that can be told gives its status and one line. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gmatrix.h"

static int failures = 0;

static void expect(gm_status found, gm_status expected, const char *words) {
    const char *message = gm_last_error();
    if (found != expected || strstr(message, words) == NULL || strchr(message, '\n') != NULL) {
        printf("status %d, expected %d with \"%s\": %s\n", (int)found, (int)expected, words, message);
        failures++;
    }
}

int main(void) {
    double a[4] = {1, 2, 3, 4}, b[2] = {1, NAN}, value = 0;
    uint32_t ids[2] = {0, 7};
    gm_sites *sites = NULL;
    gm_statistics *found = NULL;

    expect(gm_sites_new(0, &sites), GM_STATUS_SHAPE, "0 samples");
    expect(gm_sites_new(2, NULL), GM_STATUS_ARGUMENT, "out is null");
    expect(gm_sites_read("no/such.safetensors", &sites), GM_STATUS_IO, "no/such.safetensors");
    expect(gm_sites_read("\xff", &sites), GM_STATUS_ARGUMENT, "UTF-8");
    expect(gm_sites_new(2, &sites), GM_STATUS_OK, "");
    expect(gm_sites_linear(NULL, "x", a, b, 1, 2, 1, false), GM_STATUS_ARGUMENT, "sites is null");
    expect(gm_sites_linear(sites, NULL, a, b, 1, 2, 1, false), GM_STATUS_ARGUMENT, "name is null");
    expect(gm_sites_linear(sites, "x", NULL, b, 1, 2, 1, false), GM_STATUS_ARGUMENT, "a is null");
    expect(gm_sites_linear(sites, "x", a, b, (size_t)-1, 2, 1, false), GM_STATUS_ARGUMENT, "too large");
    expect(gm_sites_linear(sites, "x", a, b, 0, 2, 1, false), GM_STATUS_SHAPE, "site x");
    expect(gm_sites_linear(sites, "x", a, b, 1, 2, 1, false), GM_STATUS_NUMERIC, "NaN");
    expect(gm_sites_embedding(sites, "e", ids, a, 1, 2, 5), GM_STATUS_SHAPE, "ids hold 7");
    expect(gm_sites_statistics(sites, GM_PRECISION_F64, false, &found), GM_STATUS_SHAPE, "");
    b[1] = 0;
    expect(gm_sites_linear(sites, "x", a, b, 1, 2, 1, false), GM_STATUS_OK, "");
    expect(gm_sites_linear(sites, "x", a, b, 1, 2, 1, false), GM_STATUS_FAILED, "twice");
    expect(gm_sites_statistics(sites, 7, false, &found), GM_STATUS_ARGUMENT, "precision is 7");
    expect(gm_sites_statistics(sites, GM_PRECISION_F64, false, &found), GM_STATUS_OK, "");
    expect(gm_statistics_scalar(found, "no_such", &value), GM_STATUS_ARGUMENT, "no_such");
    expect(gm_statistics_scalar(found, "mean_cosine", &value), GM_STATUS_OK, "");
    if (!isnan(value) || gm_statistics_gram(found, NULL) != NULL || gm_statistics_name(found, 9999) != NULL) {
        puts("one gradient that is not zero has no mean cosine; no Gram matrix was asked for; no scalar 9999");
        failures++;
    }
    gm_statistics_free(found);
    gm_statistics_free(NULL);
    gm_sites_free(sites);
    gm_sites_free(NULL);
    return failures != 0;
}

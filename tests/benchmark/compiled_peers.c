/* What a C compiler makes of the same work, and of loops that show what the machine can do.
 *
 * Built by compiled_peers.py with -O3 -march=native -ffast-math, so that exp, log and erfc become
 * calls into the vector library of glibc. Arrays are float64 and contiguous.
 */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __AVX512F__
#define LANES 8
#else
#define LANES 4
#endif
#define WIDTH 64
#define VECTORS (WIDTH / LANES)
/* Positions are asked for this far ahead. */
#define AHEAD 12

typedef double vec __attribute__((vector_size(8 * LANES)));

/* One erfc for each of N(d1) and N(d2); logarithm and division in every cell. */
void black76_general(int64_t n, int64_t m, const double *forward, const double *strike,
                     const double *sign, const double *deviation, const double *factor,
                     const double *scale, double *restrict out)
{
    const double root = sqrt(0.5);
    for (int64_t i = 0; i < n; i++) {
        const double f = forward[i], k = strike[i], w = sign[i], s = deviation[i];
        double *restrict row = out + i * m;
        for (int64_t j = 0; j < m; j++) {
            const double moved = f * factor[j], spread = s * scale[j];
            const double d1 = log(moved / k) / spread + 0.5 * spread;
            const double asset = moved * 0.5 * erfc(-w * d1 * root);
            const double cash = k * 0.5 * erfc(-w * (d1 - spread) * root);
            row[j] = w * (asset - cash);
        }
    }
}

/* The same with logarithms and reciprocals taken once per option and once per scenario. */
void black76_factorised(int64_t n, int64_t m, const double *forward, const double *strike,
                        const double *sign, const double *log_ratio, const double *deviation,
                        const double *factor, const double *log_factor, const double *scale,
                        const double *inverse, double *restrict out)
{
    const double root = sqrt(0.5);
    for (int64_t i = 0; i < n; i++) {
        const double f = forward[i], k = strike[i], w = sign[i], s = deviation[i];
        const double x = log_ratio[i], per_s = 1.0 / s;
        double *restrict row = out + i * m;
        for (int64_t j = 0; j < m; j++) {
            const double middle = (x + log_factor[j]) * (inverse[j] * per_s);
            const double half = 0.5 * s * scale[j];
            const double asset = f * factor[j] * 0.5 * erfc(-w * (middle + half) * root);
            const double cash = k * 0.5 * erfc(-w * (middle - half) * root);
            row[j] = w * (asset - cash);
        }
    }
}

static void insert(double *worst, int64_t n_tail, double outcome)
{
    int64_t place = n_tail - 1;
    while (place > 0 && outcome < worst[place - 1]) {
        worst[place] = worst[place - 1];
        place--;
    }
    worst[place] = outcome;
}

/* Totals of every book in registers, tile by tile of 64 scenarios; the worst n_tail outcomes of
 * each are kept sorted and averaged at the end. Columns behind the last scenario hold 0. */
void books(int64_t n_books, int64_t n_tiles, int64_t n_instruments, int64_t n_scenarios,
           int64_t n_tail, const double *tiles, const int64_t *ptr, const int32_t *index,
           const double *weight, double *worst, double *restrict shortfall)
{
    const int64_t n_positions = ptr[n_books];
    for (int64_t i = 0; i < n_books * n_tail; i++)
        worst[i] = DBL_MAX;
    for (int64_t t = 0; t < n_tiles; t++) {
        const double *tile = tiles + t * n_instruments * WIDTH;
        const int64_t left = n_scenarios - t * WIDTH, width = left < WIDTH ? left : WIDTH;
        for (int64_t book = 0; book < n_books; book++) {
            vec total[VECTORS];
            for (int v = 0; v < VECTORS; v++)
                total[v] = (vec){0.0};
            for (int64_t p = ptr[book]; p < ptr[book + 1]; p++) {
                const double *row = tile + (int64_t)index[p] * WIDTH;
                const int64_t later = p + AHEAD < n_positions ? p + AHEAD : p;
                const double *next = tile + (int64_t)index[later] * WIDTH;
                for (int v = 0; v < VECTORS; v++) {
                    vec outcome;
                    memcpy(&outcome, row + v * LANES, sizeof outcome);
                    total[v] += weight[p] * outcome;
                    if (v * LANES % 8 == 0)
                        __builtin_prefetch(next + v * LANES);
                }
            }
            double *list = worst + book * n_tail;
            double outcomes[WIDTH];
            memcpy(outcomes, total, sizeof outcomes);
            double lowest = outcomes[0];
            for (int s = 1; s < WIDTH; s++)
                lowest = outcomes[s] < lowest ? outcomes[s] : lowest;
            if (lowest >= list[n_tail - 1])
                continue;
            for (int64_t s = 0; s < width; s++)
                if (outcomes[s] < list[n_tail - 1])
                    insert(list, n_tail, outcomes[s]);
        }
    }
    for (int64_t book = 0; book < n_books; book++) {
        double sum = 0.0;
        for (int64_t i = 0; i < n_tail; i++)
            sum += worst[book * n_tail + i];
        shortfall[book] = -sum / n_tail;
    }
}

/* Profits of some options, cut into tiles from row `first` on; columns behind the last hold 0. */
void tile_rows(int64_t n, int64_t m, int64_t n_instruments, int64_t first, const double *values,
               const double *mark, double *restrict tiles)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t start = 0; start < m; start += WIDTH) {
            const int64_t left = m - start, width = left < WIDTH ? left : WIDTH;
            double *restrict row = tiles + (start * n_instruments + (first + i) * WIDTH);
            for (int64_t s = 0; s < width; s++)
                row[s] = values[i * m + start + s] - mark[i];
            for (int64_t s = width; s < WIDTH; s++)
                row[s] = 0.0;
        }
}

/* Twelve independent chains of fused multiply-add: 12 * lanes() * rounds of them. */
double multiply_adds(int64_t rounds, double factor, double summand)
{
    vec chain[12];
    for (int i = 0; i < 12; i++)
        chain[i] = (vec){0.0} + i;
    for (int64_t round = 0; round < rounds; round++)
        for (int i = 0; i < 12; i++)
            chain[i] = chain[i] * factor + summand;
    vec sum = chain[0];
    for (int i = 1; i < 12; i++)
        sum += chain[i];
    double result = 0.0;
    for (int lane = 0; lane < LANES; lane++)
        result += sum[lane];
    return result;
}

int64_t lanes(void) { return LANES; }

/* Reads n values, a multiple of 128, as often as asked. */
double read_values(int64_t n, int64_t rounds, const double *values)
{
    vec sums[16];
    memset(sums, 0, sizeof sums);
    for (int64_t round = 0; round < rounds; round++)
        for (int64_t i = 0; i < n; i += 16 * LANES)
            for (int v = 0; v < 16; v++) {
                vec value;
                memcpy(&value, values + i + v * LANES, sizeof value);
                sums[v] += value;
            }
    vec sum = sums[0];
    for (int v = 1; v < 16; v++)
        sum += sums[v];
    double result = 0.0;
    for (int lane = 0; lane < LANES; lane++)
        result += sum[lane];
    return result;
}

/* One exponential a value, by the vector library, as often as asked. */
void exponentials(int64_t n, int64_t rounds, const double *restrict values, double *restrict out)
{
    for (int64_t round = 0; round < rounds; round++) {
        for (int64_t i = 0; i < n; i++)
            out[i] = exp(values[i]);
        /* No round may be left out because the next one writes the same. */
        __asm__ volatile("" ::: "memory");
    }
}

/* The rounds: disjoint pairs of nodes, read from a file or a whole tournament. */
#define _POSIX_C_SOURCE 200809L
#include "pairs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int add_pair(struct rounds *r, int one, int other)
{
    if ((r->n_pairs & (r->n_pairs + 1)) == 0) { /* full at 0, 1, 3, 7, ... */
        void *more = realloc(r->pairs, ((size_t)r->n_pairs * 2 + 1) * sizeof *r->pairs);
        if (!more)
            return 0;
        r->pairs = more;
    }
    r->pairs[r->n_pairs++] = (struct round_pair){one, other};
    return 1;
}

static int end_round(struct rounds *r, enum extent extent)
{
    if ((r->n_rounds & (r->n_rounds + 1)) == 0) {
        void *more = realloc(r->rounds, ((size_t)r->n_rounds * 2 + 1) * sizeof *r->rounds);
        if (!more)
            return 0;
        r->rounds = more;
    }
    r->rounds[r->n_rounds++] = (struct round){r->n_pairs, extent};
    return 1;
}

static const char *no_memory(char *error, size_t error_size)
{
    snprintf(error, error_size, "out of memory for the rounds");
    return error;
}

/* The circle method: node n-1 stays, the others turn. With an odd number the one that stays
 * is nobody, and its partner rests. */
const char *rounds_tournament(int nodes, struct rounds *r, char *error, size_t error_size)
{
    int seats = nodes + nodes % 2;
    for (int round = 0; round < seats - 1; round++) {
        for (int seat = 0; seat < seats / 2; seat++) {
            int one = seat == 0 ? seats - 1 : (round + seat) % (seats - 1);
            int other = (round + seats - 1 - seat) % (seats - 1);
            if (one < nodes && other < nodes && !add_pair(r, one < other ? one : other, one < other ? other : one))
                return no_memory(error, error_size);
        }
        if (!end_round(r, EXTENT_ALL))
            return no_memory(error, error_size);
    }
    return NULL;
}

/* A line is pairs such as 0-1, and the word `both` where only both directions at once are measured.
 * `busy` has for each node the round, counted from 1, in which it was last seen. */
static const char *read_round(char *line, int nodes, int *busy, struct rounds *r, char *error, size_t error_size)
{
    char *rest;
    enum extent extent = EXTENT_ALL;
    for (char *word = strtok_r(line, " \t\r\n", &rest); word; word = strtok_r(NULL, " \t\r\n", &rest)) {
        int one;
        int other;
        char more;
        if (strcmp(word, "both") == 0) {
            extent = EXTENT_BOTH;
            continue;
        }
        if (sscanf(word, "%d-%d%c", &one, &other, &more) != 2 || one < 0 || other < 0 || one >= nodes ||
            other >= nodes || one == other) {
            snprintf(error, error_size, "round %d: '%s' is no pair of %d nodes", r->n_rounds, word, nodes);
            return error;
        }
        if (busy[one] == r->n_rounds + 1 || busy[other] == r->n_rounds + 1) {
            snprintf(error, error_size, "round %d: '%s' has a node that is in another pair", r->n_rounds, word);
            return error;
        }
        busy[one] = busy[other] = r->n_rounds + 1;
        if (!add_pair(r, one, other))
            return no_memory(error, error_size);
    }
    return end_round(r, extent) ? NULL : no_memory(error, error_size);
}

/* A first line `key WORD`: who reads the file, rank 0 alone, begins its own lines with it, so that they can
 * be told from what other ranks print as if they were rank 0. */
static int read_key(const char *line, struct rounds *r)
{
    char word[KEY_LENGTH + 1];
    if (r->n_rounds > 0 || r->key[0] || sscanf(line, "key %32[0-9a-f]", word) != 1)
        return 0;
    snprintf(r->key, sizeof r->key, "%s ", word);
    return 1;
}

const char *rounds_read(const char *path, int nodes, struct rounds *r, char *error, size_t error_size)
{
    const char *wrong = NULL;
    char *line = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "r");
    int *busy = calloc((size_t)nodes, sizeof *busy);
    if (!file) {
        snprintf(error, error_size, "the rounds in '%s' cannot be read", path);
        wrong = error;
    } else if (!busy) {
        wrong = no_memory(error, error_size);
    }
    while (!wrong && getline(&line, &size, file) > 0)
        wrong = read_key(line, r) ? NULL : read_round(line, nodes, busy, r, error, error_size);
    free(line);
    free(busy);
    if (file)
        fclose(file);
    return wrong;
}

void rounds_free(struct rounds *r)
{
    free(r->rounds);
    free(r->pairs);
    *r = (struct rounds){0};
}

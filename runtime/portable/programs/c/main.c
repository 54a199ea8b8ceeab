/* A model in a program of its own:
 *
 *     ./model INPUT...       prints what the model gives for each file; a model of several inputs takes one file for each
 *     ./model --self-test    runs the cases of the bundle, and compares the outputs with those expected
 *
 * EDGEKIT_THREADS is the number of threads, 1 otherwise. Exit codes: 0 done, 1 a case fails, 2 a wrong input, 3 something
 * is missing, 5 the model does not load. */
#include "fail.h"
#include "input.h"
#include "self_test.h"
#include <libgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_TENSORS = 64, TOP = 5, MAX_SHOWN = 64 };

/* The folder of this program, in which its other files are. */
static const char *own_folder(void) {
    static char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 0) fail(MISSING, "the program does not find its own folder");
    path[length] = 0;
    return dirname(path);
}

static const char *label_of(size_t index, char *buffer, size_t size) {
    if (index < (size_t)settings.label_count) return settings.labels[index];
    snprintf(buffer, size, "%zu", index);
    return buffer;
}

/* Logits or probabilities as probabilities. */
static double *probabilities(const Tensor *output) {
    size_t count = count_of(output);
    double *scores = malloc(sizeof *scores * (count + 1)), sum = 0, least = INFINITY, most = -INFINITY;
    if (!scores) fail(MISSING, "there is not enough memory");
    for (size_t i = 0; i < count; i++) {
        sum += scores[i] = value_of(output, i);
        least = fmin(least, scores[i]), most = fmax(most, scores[i]);
    }
    if (settings.is_probability || (least >= 0 && fabs(sum - 1) <= 1e-3)) return scores;
    sum = 0;
    for (size_t i = 0; i < count; i++) sum += scores[i] = exp(scores[i] - most);
    for (size_t i = 0; i < count; i++) scores[i] /= sum;
    return scores;
}

static void print_classes(const Tensor *output) {
    size_t count = count_of(output);
    double *scores = probabilities(output);
    for (int shown = 0; shown < TOP && (size_t)shown < count; shown++) {
        size_t best = 0;
        char number[32];
        for (size_t i = 1; i < count; i++) if (scores[i] > scores[best]) best = i;
        printf("  %6.2f %%  %s\n", 100 * scores[best], label_of(best, number, sizeof number));
        scores[best] = -1;
    }
    free(scores);
}

static void print_output(int place, const Tensor *output) {
    size_t count = count_of(output);
    printf("  output %d  [", place);
    for (size_t i = 0; i < count && i < MAX_SHOWN; i++) printf("%s%.9g", i ? ", " : "", value_of(output, i));
    if (count > MAX_SHOWN) printf(", ... %zu in all", count);
    puts("]");
}

static void run_files(char **paths) {
    Tensor inputs[MAX_TENSORS], outputs[MAX_TENSORS];
    for (int place = 0; place < settings.input_count; place++) inputs[place] = read_input(paths[place], place);
    model_run(inputs, outputs);
    puts(paths[0]);
    if (settings.is_classification) print_classes(&outputs[0]);
    else for (int i = 0; i < settings.output_count; i++) print_output(i, &outputs[i]);
    for (int place = 0; place < settings.input_count; place++) free(inputs[place].data);
}

int main(int count, char **arguments) {
    char path[8192];
    const char *folder = own_folder(), *threads = getenv("EDGEKIT_THREADS");
    int is_test = count == 2 && !strcmp(arguments[1], "--self-test");
    if (count < 2 || (arguments[1][0] == '-' && !is_test)) fail(WRONG_INPUT, "usage: model INPUT... | --self-test");
    if (!is_test && (count - 1) % settings.input_count)
        fail(WRONG_INPUT, "the model takes %d inputs: one file for each", settings.input_count);
    snprintf(path, sizeof path, "%s/%s", folder, settings.model_file);
    const char *backend = model_open(path, threads ? atoi(threads) : 1);
    if (is_test) return self_test(folder, backend);
    for (int first = 1; first < count; first += settings.input_count) run_files(arguments + first);
    return 0;
}

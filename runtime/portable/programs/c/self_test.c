/* Runs the cases of the bundle: records of a line "DTYPE SIZE,SIZE,... CASE:KIND:PLACE", then the plain numbers. */
#include "self_test.h"
#include "fail.h"
#include "input.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TENSORS = 64 };

typedef struct { int number; char kind[8]; int place; Tensor tensor; } Record;
typedef struct { const uint8_t *data; size_t size, next; } Records;

static const struct { const char *name; Type type; } TYPES[] = {
    {"float32", FLOAT32}, {"float64", FLOAT64}, {"uint8", UINT8}, {"int8", INT8}, {"uint16", UINT16}, {"int16", INT16},
    {"uint32", UINT32}, {"int32", INT32}, {"uint64", UINT64}, {"int64", INT64}, {"bool", BOOL},
};

static Records open_records(const char *folder, const char *name) {
    char path[4096];
    Records records = {NULL, 0, 0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    records.data = read_file(path, &records.size);
    return records;
}

/* The next record; 0 at the end. The caller frees the tensor's data. */
static int next_record(Records *records, Record *record) {
    char type[16], sizes[128];
    if (records->next == records->size) return 0;
    const uint8_t *end = memchr(records->data + records->next, '\n', records->size - records->next);
    *record = (Record){0};
    if (!end || sscanf((const char *)records->data + records->next, "%15s %127s %d:%7[a-z]:%d", type, sizes,
                       &record->number, record->kind, &record->place) != 5)
        fail(UNREADABLE, "the cases are damaged");
    size_t known = 0;
    while (known < sizeof TYPES / sizeof *TYPES && strcmp(type, TYPES[known].name)) known++;
    if (known == sizeof TYPES / sizeof *TYPES || record->place < 0 || record->place >= MAX_TENSORS)
        fail(UNREADABLE, "the cases are damaged");
    Tensor *tensor = &record->tensor;
    tensor->type = TYPES[known].type, tensor->bytes = size_of(tensor->type);
    for (char *size = strcmp(sizes, "-") ? strtok(sizes, ",") : NULL; size; size = strtok(NULL, ",")) {
        if (tensor->rank == MAX_RANK) fail(UNREADABLE, "the cases are damaged");
        tensor->sizes[tensor->rank] = atoll(size);
        tensor->bytes *= (size_t)tensor->sizes[tensor->rank++];
    }
    records->next = (size_t)(end - records->data) + 1;
    if (tensor->bytes > records->size - records->next) fail(UNREADABLE, "the cases are damaged");
    tensor->data = malloc(tensor->bytes ? tensor->bytes : 1);
    if (!tensor->data) fail(MISSING, "there is not enough memory");
    memcpy(tensor->data, records->data + records->next, tensor->bytes);
    records->next += tensor->bytes;
    return 1;
}

static double largest_difference(const Tensor *got, const Tensor *expected) {
    double largest = 0;
    int is_same = got->rank == expected->rank && count_of(got) == count_of(expected);
    for (int axis = 0; is_same && axis < got->rank; axis++) is_same = got->sizes[axis] == expected->sizes[axis];
    if (!is_same) return INFINITY;
    for (size_t i = 0; i < count_of(got); i++) {
        double difference = fabs(value_of(got, i) - value_of(expected, i));
        if (!(difference <= largest)) largest = difference; /* a NaN stays */
    }
    return largest;
}

/* 1 if the input made of the example file is not the one that edgekit makes of it. */
static int example_differs(const char *folder) {
    char path[4096];
    Record expected, limit;
    if (!*settings.example_file) return 0;
    Records records = open_records(folder, "example.bin");
    if (!next_record(&records, &expected) || !next_record(&records, &limit)) fail(UNREADABLE, "the example is damaged");
    snprintf(path, sizeof path, "%s/%s", folder, settings.example_file);
    Tensor got = read_input(path, 0);
    double difference = largest_difference(&got, &expected.tensor);
    if (difference <= value_of(&limit.tensor, 0)) return 0;
    fprintf(stderr, "the input made of '%s' differs by %.3g\n", settings.example_file, difference);
    return 1;
}

/* How many outputs of one case differ by more than their limits. */
static int run_case(int number, const Tensor *inputs, Tensor *expected, const double *limits) {
    Tensor outputs[MAX_TENSORS];
    int wrong = 0;
    model_run(inputs, outputs);
    for (int place = 0; place < settings.output_count; place++) {
        double difference = largest_difference(&outputs[place], &expected[place]);
        if (difference <= limits[place]) continue;
        fprintf(stderr, "case %d, output %d differs by %.3g, at most %.3g\n", number, place, difference, limits[place]);
        wrong++;
    }
    return wrong;
}

int self_test(const char *folder, const char *backend) {
    Records records = open_records(folder, "cases.bin");
    Record record;
    Tensor inputs[MAX_TENSORS] = {0}, expected[MAX_TENSORS] = {0};
    double limits[MAX_TENSORS] = {0};
    int wrong = example_differs(folder), count = 0, is_open = next_record(&records, &record);
    while (is_open) {
        int number = record.number;
        while (is_open && record.number == number) {
            if (!strcmp(record.kind, "in")) inputs[record.place] = record.tensor;
            else if (!strcmp(record.kind, "out")) expected[record.place] = record.tensor;
            else limits[record.place] = value_of(&record.tensor, 0);
            is_open = next_record(&records, &record);
        }
        wrong += run_case(number, inputs, expected, limits);
        count++;
    }
    printf("%d cases, %s as expected (%s)\n", count, wrong ? "NOT all" : "all", backend);
    return wrong > 0;
}

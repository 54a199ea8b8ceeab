/* Reads the files that a model takes. */
#include "input.h"
#include "fail.h"
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint8_t *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(WRONG_INPUT, "'%s' cannot be read", path);
    fseek(file, 0, SEEK_END);
    long length = ftell(file);
    rewind(file);
    uint8_t *data = length < 0 ? NULL : malloc((size_t)length + 1);
    if (!data || fread(data, 1, (size_t)length, file) != (size_t)length) fail(WRONG_INPUT, "'%s' cannot be read", path);
    data[length] = 0; /* texts in it end */
    fclose(file);
    *size = (size_t)length;
    return data;
}

Tensor new_input(int place) {
    const TensorSettings *wanted = &settings.inputs[place];
    Tensor tensor = {wanted->type, wanted->rank, {0}, size_of(wanted->type), NULL};
    for (int axis = 0; axis < wanted->rank; axis++) {
        tensor.sizes[axis] = wanted->sizes[axis] ? wanted->sizes[axis] : 1;
        tensor.bytes *= (size_t)tensor.sizes[axis];
    }
    tensor.data = calloc(tensor.bytes ? tensor.bytes : 1, 1);
    if (!tensor.data) fail(MISSING, "there is not enough memory");
    return tensor;
}

/* The next number in the head of an image, behind spaces and comments. */
static int number(const uint8_t *data, size_t size, size_t *place) {
    long found = 0;
    while (*place < size && (isspace(data[*place]) || data[*place] == '#')) {
        if (data[*place] == '#') while (*place < size && data[*place] != '\n') ++*place;
        else ++*place;
    }
    for (; *place < size && isdigit(data[*place]) && found < INT_MAX / 10; ++*place) found = 10 * found + data[*place] - '0';
    return (int)found;
}

static Image read_pixels(const char *path, const uint8_t *data, size_t size) {
    size_t place = 2;
    int channels = size > 2 && data[0] == 'P' && data[1] == '6' ? 3 : 1;
    int width = number(data, size, &place), height = number(data, size, &place), most = number(data, size, &place);
    if (size < 8 || data[0] != 'P' || (data[1] != '5' && data[1] != '6') || width < 1 || height < 1 || most != 255)
        fail(WRONG_INPUT, "'%s' is not a binary .ppm or .pgm with 8 bits per channel", path);
    size_t needed = (size_t)width * (size_t)height * (size_t)channels;
    if (size - ++place < needed || place > size) fail(WRONG_INPUT, "'%s' is truncated", path);
    Image image = new_image(height, width, channels);
    memcpy(image.pixels, data + place, needed);
    return image;
}

static unsigned little(const uint8_t *data, int bytes) {
    unsigned value = 0;
    for (int i = 0; i < bytes; i++) value |= (unsigned)data[i] << (8 * i);
    return value;
}

void sound_tensor(const uint8_t *data, size_t count, Tensor *tensor) {
    for (size_t i = 0; i < count && i < (size_t)settings.audio.length; i++) {
        int16_t value = (int16_t)little(data + 2 * i, 2);
        if (settings.is_raw) ((int16_t *)tensor->data)[i] = value;
        else ((float *)tensor->data)[i] = (float)value / 32768.0f;
    }
}

static void read_sound(const char *path, const uint8_t *data, size_t size, Tensor *tensor) {
    size_t start = 0, bytes = 0;
    unsigned rate = 0, bits = 0, channels = 0;
    if (size < 12 || memcmp(data, "RIFF", 4) || memcmp(data + 8, "WAVE", 4)) fail(WRONG_INPUT, "'%s' is not a .wav", path);
    for (size_t place = 12; place + 8 <= size && !start; place += 8 + (little(data + place + 4, 4) + 1u) / 2 * 2) {
        size_t length = little(data + place + 4, 4);
        if (length > size - place - 8) fail(WRONG_INPUT, "'%s' is truncated", path);
        if (!memcmp(data + place, "fmt ", 4) && length >= 16)
            channels = little(data + place + 10, 2), rate = little(data + place + 12, 4), bits = little(data + place + 22, 2);
        if (!memcmp(data + place, "data", 4)) start = place + 8, bytes = length;
    }
    if (!start || channels != 1 || bits != 16 || rate != (unsigned)settings.audio.rate)
        fail(WRONG_INPUT, "'%s' must have %d Hz, 16 bit, 1 channel", path, settings.audio.rate);
    sound_tensor(data + start, bytes / 2, tensor);
}

static const struct { const char *name; Type type; } NUMPY_TYPES[] = {
    {"<f4", FLOAT32}, {"<f8", FLOAT64}, {"|u1", UINT8}, {"|i1", INT8}, {"<u2", UINT16}, {"<i2", INT16},
    {"<u4", UINT32}, {"<i4", INT32}, {"<u8", UINT64}, {"<i8", INT64}, {"|b1", BOOL},
};

/* Type and shape from the head of a .npy, such as {'descr': '<f4', 'fortran_order': False, 'shape': (1, 8), }. */
static Tensor numpy_head(const char *path, const char *head) {
    Tensor tensor = {FLOAT32, 0, {0}, 0, NULL};
    const char *type = strstr(head, "'descr': '"), *shape = strstr(head, "'shape': (");
    size_t known = 0;
    while (type && known < sizeof NUMPY_TYPES / sizeof *NUMPY_TYPES && strncmp(type + 10, NUMPY_TYPES[known].name, 3)) known++;
    if (!type || !shape || strstr(head, "'fortran_order': True") || known == sizeof NUMPY_TYPES / sizeof *NUMPY_TYPES)
        fail(WRONG_INPUT, "'%s' is not an .npy of plain numbers in C order", path);
    tensor.type = NUMPY_TYPES[known].type, tensor.bytes = size_of(tensor.type);
    for (char *end, *next = (char *)shape + 10; *next && *next != ')'; next = end) {
        long long size = strtoll(next, &end, 10);
        if (end == next) { end++; continue; }
        if (size < 0 || size > INT_MAX || tensor.rank == MAX_RANK) fail(WRONG_INPUT, "'%s' has a strange shape", path);
        tensor.sizes[tensor.rank++] = size;
        if (__builtin_mul_overflow(tensor.bytes, (size_t)size, &tensor.bytes)) fail(WRONG_INPUT, "'%s' is too large", path);
    }
    return tensor;
}

int fits_input(const Tensor *tensor, int place) {
    const TensorSettings *wanted = &settings.inputs[place];
    int fits = tensor->rank == wanted->rank;
    for (int axis = 0; fits && axis < wanted->rank; axis++)
        fits = !wanted->sizes[axis] || wanted->sizes[axis] == tensor->sizes[axis];
    return fits;
}

/* `tensor` with the batch axis and in the type of the input; every fixed size must match. */
static Tensor fitting(const char *path, Tensor tensor, int place) {
    const TensorSettings *wanted = &settings.inputs[place];
    if (tensor.rank == wanted->rank - 1) {
        memmove(tensor.sizes + 1, tensor.sizes, sizeof *tensor.sizes * (MAX_RANK - 1));
        tensor.sizes[0] = 1, tensor.rank++;
    }
    if (!fits_input(&tensor, place)) fail(WRONG_INPUT, "'%s' does not have the shape of input %d", path, place);
    if (tensor.type == FLOAT64 && wanted->type == FLOAT32) {
        size_t count = count_of(&tensor);
        float *values = tensor.data;
        for (size_t i = 0; i < count; i++) values[i] = (float)((double *)tensor.data)[i];
        tensor.type = FLOAT32, tensor.bytes = 4 * count;
    }
    if (tensor.type != wanted->type) fail(WRONG_INPUT, "'%s' does not have the type of input %d", path, place);
    return tensor;
}

static Tensor read_array(const char *path, uint8_t *data, size_t size, int place) {
    size_t start = size < 12 ? 0 : data[6] == 1 ? 10 : 12, length = 0;
    if (start && !memcmp(data, "\x93NUMPY", 6)) length = little(data + 8, (int)start - 8);
    if (!length || length > size - start) fail(WRONG_INPUT, "'%s' is not an .npy", path);
    char *head = strndup((char *)data + start, length);
    Tensor tensor = numpy_head(path, head);
    free(head);
    if (tensor.bytes != size - start - length) fail(WRONG_INPUT, "'%s' is truncated", path);
    tensor.data = malloc(tensor.bytes ? tensor.bytes : 1);
    if (!tensor.data) fail(MISSING, "there is not enough memory");
    memcpy(tensor.data, data + start + length, tensor.bytes);
    return fitting(path, tensor, place);
}

Tensor read_input(const char *path, int place) {
    size_t size, length = strlen(path);
    uint8_t *data = read_file(path, &size);
    Tensor tensor;
    if (settings.kind == ARRAY || (length > 4 && !strcmp(path + length - 4, ".npy"))) {
        tensor = read_array(path, data, size, place);
    } else {
        tensor = new_input(place);
        if (settings.kind == IMAGE) image_tensor(read_pixels(path, data, size), &tensor);
        else read_sound(path, data, size, &tensor);
    }
    free(data);
    return tensor;
}

/* One launch of an .onnx file on a device without Python: loads libonnxruntime, prints a JobResult or a JobFailure as
 * one line of JSON.
 *
 *     runner [-l LIBRARY] [-t THREADS] [-g GRAPH_LEVEL] [-s SPIN] [-T SECONDS] [-n LEAST] [-x MOST] [-o OUTPUTS]
 *            MODEL FEEDS
 *     runner [-l LIBRARY] -V
 *
 * -V prints the library's name and version alone. With EDGEKIT_MARK in the environment, every timed run is preceded by
 * a system call that does not exist: an emulator that counts instructions sees where a run begins.
 * FEEDS and OUTPUTS hold records: a line "DTYPE SIZE,SIZE,... INDEX:NAME" ("-" for no axes), then the plain numbers in
 * the byte order of the machine. Feed 0 is timed; every feed is run once for OUTPUTS. Times are in seconds.
 *
 * ONNX Runtime's C interface is a table of functions whose places never change, so that no header of it is needed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { API_VERSION = 12, MAX_RANK = 16, MAX_WARMUPS = 100, CLOSE = 5 };
enum { MARK = 9999, LEAST_KEPT = 128 << 10, MOST_KEPT = 32 << 20 };
enum { USER_ERROR = 2, DEVICE_ERROR = 3, UNREADABLE = 5 };

/* Places in OrtApi. */
enum {
    GET_ERROR_MESSAGE = 2, CREATE_ENV = 3, CREATE_SESSION = 7, RUN = 9, CREATE_OPTIONS = 10, SET_GRAPH_LEVEL = 23,
    SET_INTRA_THREADS = 24, SET_INTER_THREADS = 25, OUTPUT_COUNT = 31, OUTPUT_NAME = 37, CREATE_TENSOR = 49,
    TENSOR_DATA = 51, ELEMENT_TYPE = 60, RANK = 61, SIZES = 62, ELEMENT_COUNT = 64, TYPE_AND_SHAPE = 65,
    CREATE_MEMORY_INFO = 69, DEFAULT_ALLOCATOR = 78, RELEASE_VALUE = 96, ADD_CONFIG = 130
};

typedef struct { void *(*table)(uint32_t); const char *(*version)(void); } Base;
typedef void *(*Function)();

typedef struct { const char *name; int type; size_t size; } Dtype;
static const Dtype DTYPES[] = {
    {"float32", 1, 4}, {"uint8", 2, 1}, {"int8", 3, 1}, {"uint16", 4, 2}, {"int16", 5, 2}, {"int32", 6, 4},
    {"int64", 7, 8}, {"bool", 9, 1}, {"float16", 10, 2}, {"float64", 11, 8}, {"uint32", 12, 4}, {"uint64", 13, 8},
};

typedef struct { int feed; char *name; const Dtype *dtype; int64_t sizes[MAX_RANK]; size_t rank, bytes; void *data; } Tensor;

static Function *api;
static Tensor *tensors;
static int tensor_count, feed_count;

static void print_text(const char *text) {
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') putchar('\\');
        putchar((unsigned char)*text < ' ' ? ' ' : *text);
    }
}

static void fail(int code, const char *kind, const char *format, ...) {
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    printf("{\"error\":\"%s\",\"message\":\"", kind);
    print_text(text);
    printf("\",\"exit_code\":%d,\"schema_version\":1}\n", code);
    exit(code);
}

static void check(void *status, int code, const char *kind, const char *what) {
    if (status) fail(code, kind, "%s: %s", what, (const char *)api[GET_ERROR_MESSAGE](status));
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

/* `count` elements of `size` bytes, where `old` was: zero if it is NULL. */
static void *space(void *old, size_t count, size_t size) {
    void *found = old ? realloc(old, count * size) : calloc(count, size);
    if (!found) fail(DEVICE_ERROR, "DeviceError", "The device has not enough memory for this model.");
    return found;
}

static const Dtype *dtype_by_name(const char *name) {
    for (size_t i = 0; i < sizeof DTYPES / sizeof *DTYPES; i++)
        if (!strcmp(DTYPES[i].name, name)) return &DTYPES[i];
    fail(USER_ERROR, "UserError", "The device's runner does not know the dtype '%s'.", name);
    return NULL;
}

static const Dtype *dtype_by_type(int type) {
    for (size_t i = 0; i < sizeof DTYPES / sizeof *DTYPES; i++)
        if (DTYPES[i].type == type) return &DTYPES[i];
    fail(DEVICE_ERROR, "DeviceError", "The model gives a type that the device's runner does not know (%d).", type);
    return NULL;
}

static void read_tensor(Tensor *tensor, char *line, FILE *file) {
    char *dtype = strtok(line, " "), *sizes = strtok(NULL, " "), *key = strtok(NULL, "\n"), *end;
    if (!key || !strchr(key, ':')) fail(USER_ERROR, "UserError", "The feeds are damaged.");
    tensor->dtype = dtype_by_name(dtype);
    tensor->feed = strtol(key, &end, 10);
    tensor->name = strdup(end + 1);
    tensor->bytes = tensor->dtype->size;
    for (char *size = strcmp(sizes, "-") ? strtok(sizes, ",") : NULL; size; size = strtok(NULL, ",")) {
        if (tensor->rank == MAX_RANK) fail(USER_ERROR, "UserError", "'%s' has too many axes.", tensor->name);
        tensor->sizes[tensor->rank] = strtoll(size, NULL, 10);
        tensor->bytes *= tensor->sizes[tensor->rank++];
    }
    tensor->data = aligned_alloc(64, (tensor->bytes + 64) / 64 * 64);
    if (!tensor->data) fail(DEVICE_ERROR, "DeviceError", "The device has not enough memory for this model.");
    if (fread(tensor->data, 1, tensor->bytes, file) != tensor->bytes)
        fail(USER_ERROR, "UserError", "The feeds are damaged.");
}

static void read_feeds(const char *path) {
    char *line = NULL;
    size_t size = 0, room = 0;
    FILE *file = fopen(path, "rb");
    if (!file) fail(USER_ERROR, "UserError", "The feeds cannot be read: %s.", strerror(errno));
    while (getline(&line, &size, file) > 0) {
        if ((size_t)tensor_count == room) {
            room = room ? 2 * room : 64;
            tensors = space(tensors, room, sizeof *tensors);
        }
        Tensor *tensor = &tensors[tensor_count++];
        memset(tensor, 0, sizeof *tensor);
        read_tensor(tensor, line, file);
        if (tensor->feed >= feed_count) feed_count = tensor->feed + 1;
    }
    free(line);
    fclose(file);
    if (!feed_count) fail(USER_ERROR, "UserError", "There are no feeds.");
}

/* From which sizes glibc's malloc gives blocks back to the system when they are freed; as runtime/memory.py. Not where
 * instructions are counted: it tidies up the heap, and the next run takes some more. */
static void keep_freed(int mmap, int trim) {
    if (getenv("EDGEKIT_MARK")) return;
    mallopt(M_MMAP_THRESHOLD, mmap);
    mallopt(M_TRIM_THRESHOLD, trim);
}

static void reset_peak(void) {
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file) return;
    fputs("5", file);
    fclose(file);
}

static double peak_memory(void) {
    char line[256];
    double bytes = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, "VmHWM:", 6)) bytes = atof(line + 6) * 1024;
    if (file) fclose(file);
    return bytes;
}

static long switches(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nivcsw;
}

static int ascending(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* True when the last five durations lie within 5 % of their median: enough to begin with the calls that count. Where
   the warm-up ends is decided on the host, from all durations. */
static int are_close(const double *durations, int count) {
    double last[CLOSE];
    if (count < CLOSE) return 0;
    memcpy(last, durations + count - CLOSE, sizeof last);
    qsort(last, CLOSE, sizeof *last, ascending);
    double middle = last[CLOSE / 2];
    return middle - last[0] <= 0.05 * middle && last[CLOSE - 1] - middle <= 0.05 * middle;
}

/* A loaded model with the tensors of one feed. */
static void *session, *memory;
static const char **input_names;
static char **output_names;
static void **inputs, **outputs;
static size_t input_count, output_count;

static void set_feed(int feed) {
    for (size_t i = 0; i < input_count; i++) api[RELEASE_VALUE](inputs[i]);
    for (size_t i = 0; i < output_count; i++)
        if (outputs[i]) api[RELEASE_VALUE](outputs[i]), outputs[i] = NULL;
    input_count = 0;
    for (int i = 0; i < tensor_count; i++) {
        Tensor *one = &tensors[i];
        if (one->feed != feed) continue;
        input_names[input_count] = one->name;
        check(api[CREATE_TENSOR](memory, one->data, one->bytes, one->sizes, one->rank, one->dtype->type, &inputs[input_count]),
              USER_ERROR, "UserError", one->name);
        input_count++;
    }
}

/* The first run of a feed makes the outputs, later ones write into them. */
static double run(void) {
    double start = now();
    void *status = api[RUN](session, NULL, input_names, inputs, input_count, output_names, output_count, outputs);
    double end = now();
    check(status, USER_ERROR, "UserError", "onnxruntime cannot run this feed");
    return end - start;
}

static void write_outputs(FILE *file, int feed) {
    for (size_t i = 0; i < output_count; i++) {
        void *shape, *data;
        size_t rank, count;
        int type;
        int64_t sizes[MAX_RANK];
        check(api[TYPE_AND_SHAPE](outputs[i], &shape), DEVICE_ERROR, "DeviceError", output_names[i]);
        api[ELEMENT_TYPE](shape, &type), api[RANK](shape, &rank), api[ELEMENT_COUNT](shape, &count);
        if (rank > MAX_RANK) fail(DEVICE_ERROR, "DeviceError", "'%s' has too many axes.", output_names[i]);
        api[SIZES](shape, sizes, rank), api[TENSOR_DATA](outputs[i], &data);
        const Dtype *dtype = dtype_by_type(type);
        fprintf(file, "%s %s", dtype->name, rank ? "" : "-");
        for (size_t axis = 0; axis < rank; axis++) fprintf(file, "%s%lld", axis ? "," : "", (long long)sizes[axis]);
        fprintf(file, " %d:%s\n", feed, output_names[i]);
        fwrite(data, dtype->size, count, file);
    }
}

static void write_all(const char *path) {
    FILE *file = fopen(path, "wb");
    if (!file) fail(DEVICE_ERROR, "DiskFull", "The outputs cannot be written: %s.", strerror(errno));
    for (int feed = 0; feed < feed_count; feed++) {
        set_feed(feed);
        run();
        write_outputs(file, feed);
    }
    if (ferror(file) | fclose(file))
        fail(DEVICE_ERROR, "DiskFull", "The outputs cannot be written: %s.", strerror(errno));
}

static const char *load(const char *library) {
    void *handle = dlopen(library, RTLD_NOW);
    if (!handle) fail(DEVICE_ERROR, "MissingExtra", "its ONNX Runtime does not load (%s)", dlerror());
    Base *(*base)(void) = (Base * (*)(void)) dlsym(handle, "OrtGetApiBase");
    if (!base) fail(DEVICE_ERROR, "MissingExtra", "'%s' is no ONNX Runtime", library);
    api = (Function *)base()->table(API_VERSION);
    if (!api) fail(DEVICE_ERROR, "DeviceError", "ONNX Runtime %s is too old.", base()->version());
    return base()->version();
}

static void open_session(const char *model, int threads, int level, const char *spin) {
    void *environment, *options, *allocator;
    check(api[CREATE_ENV](3, "edgekit", &environment), DEVICE_ERROR, "DeviceError", "onnxruntime does not start");
    check(api[CREATE_OPTIONS](&options), DEVICE_ERROR, "DeviceError", "onnxruntime does not start");
    api[SET_INTRA_THREADS](options, threads), api[SET_INTER_THREADS](options, 1), api[SET_GRAPH_LEVEL](options, level);
    if (spin) api[ADD_CONFIG](options, "session.intra_op.allow_spinning", spin);
    check(api[CREATE_SESSION](environment, model, options, &session), UNREADABLE, "ModelUnreadable",
          "The device's onnxruntime cannot load the model");
    api[DEFAULT_ALLOCATOR](&allocator), api[OUTPUT_COUNT](session, &output_count);
    check(api[CREATE_MEMORY_INFO](1, 0, &memory), DEVICE_ERROR, "DeviceError", "onnxruntime does not start");
    input_names = space(NULL, tensor_count, sizeof *input_names), inputs = space(NULL, tensor_count, sizeof *inputs);
    output_names = space(NULL, output_count, sizeof *output_names), outputs = space(NULL, output_count, sizeof *outputs);
    for (size_t i = 0; i < output_count; i++) api[OUTPUT_NAME](session, i, allocator, &output_names[i]);
}

static void print_values(const char *name, const double *values, int count) {
    printf(",\"%s\":[", name);
    for (int i = 0; i < count; i++) printf("%s%.9g", i ? "," : "", values[i]);
    putchar(']');
}

int main(int argument_count, char **arguments) {
    const char *library = "libonnxruntime.so.1", *results = NULL, *spin = NULL;
    int threads = 1, level = 99, least = 30, most = 1000, only_version = 0, option;
    int is_marked = getenv("EDGEKIT_MARK") != NULL;
    double limit = 1;
    while ((option = getopt(argument_count, arguments, ":l:t:g:s:T:n:x:o:V")) != -1) {
        if (option == 'l') library = optarg;
        else if (option == 't') threads = atoi(optarg);
        else if (option == 'g') level = atoi(optarg);
        else if (option == 's') spin = optarg;
        else if (option == 'T') limit = atof(optarg);
        else if (option == 'n') least = atoi(optarg);
        else if (option == 'x') most = atoi(optarg);
        else if (option == 'o') results = optarg;
        else if (option == 'V') only_version = 1;
        else fail(USER_ERROR, "UserError", "The device's runner does not know the option '-%c'.", optopt);
    }
    setenv("ORT_DISABLE_TELEMETRY", "1", 0);
    if (only_version) return printf("onnxruntime %s\n", load(library)) < 0;
    if (optind + 2 != argument_count || most < 1) fail(USER_ERROR, "UserError", "usage: runner [options] MODEL FEEDS");
    read_feeds(arguments[optind + 1]);
    double *values = calloc(most, sizeof *values), warmups[MAX_WARMUPS], spent = 0;
    reset_peak();
    keep_freed(LEAST_KEPT, LEAST_KEPT); /* how many copies of the weights are at the peak depends on addresses otherwise */
    double start = now();
    const char *version = load(library);
    open_session(arguments[optind], threads, level, spin);
    double loading = now() - start;
    set_feed(0);
    double first = run();
    keep_freed(MOST_KEPT, 2 * MOST_KEPT); /* so that calls reuse their blocks */
    int warmup_count = 0, count = 0;
    while (warmup_count < MAX_WARMUPS && spent < limit && !are_close(warmups, warmup_count))
        spent += warmups[warmup_count++] = run();
    long switched = switches();
    double end = now() + limit;
    while (count < most && (count < least || now() < end)) {
        if (is_marked) syscall(MARK, count);
        values[count++] = run();
    }
    if (is_marked) syscall(MARK, count);
    switched = switches() - switched;
    double memory_used = peak_memory();
    if (results) write_all(results);
    printf("{\"backend\":\"onnxruntime\",\"engine\":\"onnxruntime %s\",\"provider\":\"cpu\"", version);
    print_values("values", values, count);
    print_values("warmups", warmups, warmup_count);
    printf(",\"load_s\":%.9g,\"first_run_s\":%.9g", loading, first);
    if (memory_used < 0) printf(",\"peak_memory_bytes\":null");
    else printf(",\"peak_memory_bytes\":%.0f", memory_used);
    printf(",\"nivcsw\":%ld", switched);
    printf(",\"schema_version\":1}\n");
    return 0;
}

/* model.h with ONNX Runtime. Its C interface is a table of functions whose places never change, so that this file needs
 * none of its headers: libonnxruntime.so.1 is looked for next to the program, then where the system keeps libraries;
 * ONNXRUNTIME_LIBRARY names another. On Android it has no number and is in the app. */
#include "fail.h"
#include "model.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>

enum { API_VERSION = 12, MAX_TENSORS = 64 };

/* Places in OrtApi. */
enum {
    GET_ERROR_MESSAGE = 2, CREATE_ENV = 3, CREATE_SESSION = 7, RUN = 9, CREATE_OPTIONS = 10, SET_INTRA_THREADS = 24,
    SET_INTER_THREADS = 25, CREATE_TENSOR = 49, TENSOR_DATA = 51, ELEMENT_TYPE = 60, RANK = 61, SIZES = 62,
    ELEMENT_COUNT = 64, TYPE_AND_SHAPE = 65, CREATE_MEMORY_INFO = 69, RELEASE_ENV = 92, RELEASE_STATUS = 93,
    RELEASE_MEMORY_INFO = 94, RELEASE_SESSION = 95, RELEASE_VALUE = 96, RELEASE_TYPE_AND_SHAPE = 99, RELEASE_OPTIONS = 100
};

#ifdef __ANDROID__
static const char *const LIBRARY = "libonnxruntime.so";
#else
static const char *const LIBRARY = "libonnxruntime.so.1";
#endif

typedef struct { void *(*table)(uint32_t); const char *(*version)(void); } Base;
typedef void *(*Function)();

static Function *api;
static void *environment, *options, *session, *memory, *results[MAX_TENSORS];

static void check(void *status, int code, const char *what) {
    char message[1024];
    if (!status) return;
    snprintf(message, sizeof message, "%s", (const char *)api[GET_ERROR_MESSAGE](status));
    api[RELEASE_STATUS](status);
    fail(code, "%s: %s", what, message);
}

const char *model_open(const char *path, int threads) {
    static char name[64];
    const char *library = getenv("ONNXRUNTIME_LIBRARY");
    setenv("ORT_DISABLE_TELEMETRY", "1", 0); /* it sends usage data otherwise */
    void *handle = dlopen(library ? library : LIBRARY, RTLD_NOW);
    if (!handle) fail(MISSING, "ONNX Runtime does not load (%s); README.md says where it comes from", dlerror());
    Base *(*base)(void) = (Base * (*)(void)) dlsym(handle, "OrtGetApiBase");
    if (!base) fail(MISSING, "'%s' is not ONNX Runtime", library ? library : LIBRARY);
    api = (Function *)base()->table(API_VERSION);
    if (!api) fail(MISSING, "ONNX Runtime %s is too old", base()->version());
    snprintf(name, sizeof name, "onnxruntime %s", base()->version());
    check(api[CREATE_ENV](3, "model", &environment), MISSING, "ONNX Runtime does not start");
    check(api[CREATE_OPTIONS](&options), MISSING, "ONNX Runtime does not start");
    check(api[SET_INTRA_THREADS](options, threads), MISSING, "the number of threads");
    check(api[SET_INTER_THREADS](options, 1), MISSING, "the number of threads");
    check(api[CREATE_SESSION](environment, path, options, &session), UNREADABLE, "the model does not load");
    check(api[CREATE_MEMORY_INFO](1, 0, &memory), MISSING, "ONNX Runtime does not start");
    return name;
}

static void describe(void *value, Tensor *tensor) {
    void *shape;
    size_t rank, count;
    int type;
    check(api[TYPE_AND_SHAPE](value, &shape), UNREADABLE, "an output has no shape");
    check(api[ELEMENT_TYPE](shape, &type), UNREADABLE, "an output has no type");
    check(api[RANK](shape, &rank), UNREADABLE, "an output has no shape");
    if (rank > MAX_RANK) fail(UNREADABLE, "an output has %zu axes, at most %d are possible", rank, MAX_RANK);
    check(api[SIZES](shape, tensor->sizes, rank), UNREADABLE, "an output has no shape");
    check(api[ELEMENT_COUNT](shape, &count), UNREADABLE, "an output has no shape");
    check(api[TENSOR_DATA](value, &tensor->data), UNREADABLE, "an output has no data");
    api[RELEASE_TYPE_AND_SHAPE](shape);
    tensor->type = (Type)type, tensor->rank = (int)rank, tensor->bytes = count * size_of(tensor->type);
}

void model_run(const Tensor *inputs, Tensor *outputs) {
    const char *input_names[MAX_TENSORS], *output_names[MAX_TENSORS];
    void *values[MAX_TENSORS];
    for (int i = 0; i < settings.input_count; i++) {
        input_names[i] = settings.inputs[i].name;
        check(api[CREATE_TENSOR](memory, inputs[i].data, inputs[i].bytes, inputs[i].sizes, (size_t)inputs[i].rank,
                                 (int)inputs[i].type, &values[i]), WRONG_INPUT, "an input");
    }
    for (int i = 0; i < settings.output_count; i++) {
        output_names[i] = settings.outputs[i].name;
        if (results[i]) api[RELEASE_VALUE](results[i]), results[i] = NULL;
    }
    void *status = api[RUN](session, NULL, input_names, values, (size_t)settings.input_count, output_names,
                            (size_t)settings.output_count, results);
    for (int i = 0; i < settings.input_count; i++) api[RELEASE_VALUE](values[i]);
    check(status, WRONG_INPUT, "the model does not run on this input");
    for (int i = 0; i < settings.output_count; i++) describe(results[i], &outputs[i]);
}

void model_close(void) {
    if (!api) return;
    for (int i = 0; i < MAX_TENSORS; i++) api[RELEASE_VALUE](results[i]), results[i] = NULL;
    api[RELEASE_SESSION](session), api[RELEASE_MEMORY_INFO](memory);
    api[RELEASE_OPTIONS](options), api[RELEASE_ENV](environment);
    session = memory = options = environment = NULL;
}

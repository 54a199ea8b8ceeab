/* model.h with LiteRT, without its headers: the functions used here are declared below. libLiteRt.so is looked for next to
 * the program, then where the system keeps libraries; LITERT_LIBRARY names another. It must be LiteRT 2.3 or newer.
 *
 * The file has a signature for each combination of sizes that it was exported for: a run uses the one whose inputs have
 * the shapes of those given. Real numbers are converted for inputs and outputs that the file stores as integers. */
#include "fail.h"
#include "model.h"
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TENSORS = 64, CPU = 1, READ = 0, WRITE = 1, PER_TENSOR = 1 };

/* LiteRT's element types, in the numbers of ONNX. */
static const Type TYPES[] = {[1] = FLOAT32, [2] = INT32, [3] = UINT8, [4] = INT64, [6] = BOOL, [7] = INT16, [9] = INT8,
                             [11] = FLOAT64, [13] = UINT64, [16] = UINT32, [17] = UINT16};

/* The head of LiteRtRankedTensorType, and room for the strides behind it. */
typedef struct { int32_t type; uint32_t rank; int32_t sizes[MAX_RANK]; uint64_t more[16]; } Ranked;
typedef struct { float scale; int64_t zero; } Steps;
typedef struct { Type type; int rank; int64_t sizes[MAX_RANK]; Steps steps; size_t place; void *buffer; Ranked ranked; } Port;

#define FUNCTIONS(F) \
    F(int, LiteRtCreateEnvironment, (int, const void *, void **)) \
    F(int, LiteRtCreateModelFromFile, (void *, const char *, void **)) \
    F(int, LiteRtCreateOptions, (void **)) \
    F(int, LiteRtSetOptionsHardwareAccelerators, (void *, int)) \
    F(int, LiteRtCreateCompiledModel, (void *, void *, void *, void **)) \
    F(int, LiteRtGetNumModelSignatures, (void *, size_t *)) \
    F(int, LiteRtGetModelSignature, (void *, size_t, void **)) \
    F(int, LiteRtGetNumSignatureInputs, (void *, size_t *)) \
    F(int, LiteRtGetNumSignatureOutputs, (void *, size_t *)) \
    F(int, LiteRtGetSignatureInputName, (void *, size_t, const char **)) \
    F(int, LiteRtGetSignatureOutputName, (void *, size_t, const char **)) \
    F(int, LiteRtGetSignatureInputTensorByIndex, (void *, size_t, void **)) \
    F(int, LiteRtGetSignatureOutputTensorByIndex, (void *, size_t, void **)) \
    F(int, LiteRtGetRankedTensorType, (void *, Ranked *)) \
    F(int, LiteRtGetQuantizationTypeId, (void *, int *)) \
    F(int, LiteRtGetPerTensorQuantization, (void *, Steps *)) \
    F(int, LiteRtGetCompiledModelInputBufferRequirements, (void *, size_t, size_t, void **)) \
    F(int, LiteRtGetCompiledModelOutputBufferRequirements, (void *, size_t, size_t, void **)) \
    F(int, LiteRtCreateManagedTensorBufferFromRequirements, (void *, const Ranked *, void *, void **)) \
    F(int, LiteRtLockTensorBuffer, (void *, void **, int)) \
    F(int, LiteRtUnlockTensorBuffer, (void *)) \
    F(void, LiteRtDestroyTensorBuffer, (void *)) \
    F(void, LiteRtDestroyCompiledModel, (void *)) \
    F(void, LiteRtDestroyOptions, (void *)) \
    F(void, LiteRtDestroyModel, (void *)) \
    F(void, LiteRtDestroyEnvironment, (void *)) \
    F(int, LiteRtRunCompiledModel, (void *, size_t, size_t, void **, size_t, void **))
#define DECLARED(RESULT, NAME, ARGUMENTS) static RESULT (*NAME) ARGUMENTS;
#define LOADED(RESULT, NAME, ARGUMENTS) NAME = (RESULT (*) ARGUMENTS) function(handle, #NAME);
FUNCTIONS(DECLARED)

static void *environment, *options, *model, *compiled, *results[MAX_TENSORS];
static Port inputs_of_run[MAX_TENSORS], outputs_of_run[MAX_TENSORS];
static size_t chosen = SIZE_MAX;

static void *function(void *handle, const char *name) {
    void *found = dlsym(handle, name);
    if (!found) fail(MISSING, "this LiteRT has no function %s", name);
    return found;
}

static void check(int status, int code, const char *what) {
    if (status) fail(code, "LiteRT: %s (status %d)", what, status);
}

const char *model_open(const char *path, int threads) {
    const char *library = getenv("LITERT_LIBRARY");
    void *handle = dlopen(library ? library : "libLiteRt.so", RTLD_NOW);
    (void)threads; /* LiteRT chooses them */
    if (!handle) fail(MISSING, "LiteRT does not load (%s); README.md says where it comes from", dlerror());
    FUNCTIONS(LOADED)
    check(LiteRtCreateEnvironment(0, NULL, &environment), MISSING, "it does not start");
    check(LiteRtCreateModelFromFile(environment, path, &model), UNREADABLE, "the model does not load");
    check(LiteRtCreateOptions(&options), MISSING, "it does not start");
    check(LiteRtSetOptionsHardwareAccelerators(options, CPU), MISSING, "it has no CPU");
    check(LiteRtCreateCompiledModel(environment, model, options, &compiled), UNREADABLE, "the model does not load");
    return "litert";
}

static void read_port(void *tensor, Port *port) {
    int quantization = 0;
    *port = (Port){0};
    check(LiteRtGetRankedTensorType(tensor, &port->ranked), UNREADABLE, "a tensor has no shape");
    size_t known = sizeof TYPES / sizeof *TYPES, type = (size_t)port->ranked.type;
    port->type = type < known ? TYPES[type] : (Type)0, port->rank = (int)(port->ranked.rank & 127u);
    if (!port->type || port->rank > MAX_RANK) fail(UNREADABLE, "the model has a tensor that this program cannot pass");
    for (int axis = 0; axis < port->rank; axis++) port->sizes[axis] = port->ranked.sizes[axis];
    check(LiteRtGetQuantizationTypeId(tensor, &quantization), UNREADABLE, "a tensor has no type");
    if (quantization == PER_TENSOR)
        check(LiteRtGetPerTensorQuantization(tensor, &port->steps), UNREADABLE, "a tensor has no steps");
}

/* The place of a name in a signature. */
static size_t place_of(void *signature, size_t count, int (*name_of)(void *, size_t, const char **), const char *wanted) {
    const char *name = "";
    for (size_t place = 0; place < count; place++)
        if (!name_of(signature, place, &name) && !strcmp(name, wanted)) return place;
    return SIZE_MAX;
}

static int has_shape(const Port *port, const Tensor *tensor) {
    int fits = port->rank == tensor->rank;
    for (int axis = 0; fits && axis < port->rank; axis++) fits = port->sizes[axis] == tensor->sizes[axis];
    return fits;
}

/* The ports of a signature in the order of the settings; 0 if it has other names, or inputs of other shapes. */
static int read_signature(size_t index, const Tensor *inputs) {
    void *signature, *tensor;
    size_t input_count, output_count, place;
    check(LiteRtGetModelSignature(model, index, &signature), UNREADABLE, "the model has no signature");
    check(LiteRtGetNumSignatureInputs(signature, &input_count), UNREADABLE, "a signature has no inputs");
    check(LiteRtGetNumSignatureOutputs(signature, &output_count), UNREADABLE, "a signature has no outputs");
    if (input_count != (size_t)settings.input_count || output_count != (size_t)settings.output_count) return 0;
    for (int i = 0; i < settings.input_count; i++) {
        place = place_of(signature, input_count, LiteRtGetSignatureInputName, settings.inputs[i].name);
        if (place == SIZE_MAX) return 0;
        check(LiteRtGetSignatureInputTensorByIndex(signature, place, &tensor), UNREADABLE, "an input is missing");
        read_port(tensor, &inputs_of_run[i]);
        inputs_of_run[i].place = place;
        if (!has_shape(&inputs_of_run[i], &inputs[i])) return 0;
    }
    for (int i = 0; i < settings.output_count; i++) {
        place = place_of(signature, output_count, LiteRtGetSignatureOutputName, settings.outputs[i].name);
        if (place == SIZE_MAX) return 0;
        check(LiteRtGetSignatureOutputTensorByIndex(signature, place, &tensor), UNREADABLE, "an output is missing");
        read_port(tensor, &outputs_of_run[i]);
        outputs_of_run[i].place = place;
    }
    return 1;
}

static void make_buffers(Port *ports, int count, int (*needs)(void *, size_t, size_t, void **)) {
    void *requirements;
    for (int i = 0; i < count; i++) {
        check(needs(compiled, chosen, ports[i].place, &requirements), UNREADABLE, "a tensor needs what is not known");
        check(LiteRtCreateManagedTensorBufferFromRequirements(environment, &ports[i].ranked, requirements, &ports[i].buffer),
              MISSING, "there is not enough memory");
    }
}

static void forget_signature(void) {
    for (int i = 0; chosen != SIZE_MAX && i < settings.input_count; i++) LiteRtDestroyTensorBuffer(inputs_of_run[i].buffer);
    for (int i = 0; chosen != SIZE_MAX && i < settings.output_count; i++) LiteRtDestroyTensorBuffer(outputs_of_run[i].buffer);
    chosen = SIZE_MAX;
}

/* Select the signature for these shapes; buffers are kept while the shapes stay the same. */
static void select_signature(const Tensor *inputs) {
    size_t count;
    int is_same = chosen != SIZE_MAX;
    for (int i = 0; is_same && i < settings.input_count; i++) is_same = has_shape(&inputs_of_run[i], &inputs[i]);
    if (is_same) return;
    forget_signature();
    check(LiteRtGetNumModelSignatures(model, &count), UNREADABLE, "the model has no signatures");
    size_t found = 0;
    while (found < count && !read_signature(found, inputs)) found++;
    if (found == count) fail(WRONG_INPUT, "the model has no signature for inputs of these shapes");
    chosen = found;
    make_buffers(inputs_of_run, settings.input_count, LiteRtGetCompiledModelInputBufferRequirements);
    make_buffers(outputs_of_run, settings.output_count, LiteRtGetCompiledModelOutputBufferRequirements);
}

/* Real numbers in the steps of the file: rounded to even, and clipped. */
static void quantize(const Tensor *tensor, const Port *port, void *stored) {
    double low = port->type == UINT8 ? 0 : port->type == INT8 ? -128 : -32768, high = port->type == UINT8 ? 255 : -low - 1;
    for (size_t i = 0; i < count_of(tensor); i++) {
        float steps = rintf(((const float *)tensor->data)[i] / port->steps.scale) + (float)port->steps.zero;
        double value = steps < low ? low : steps > high ? high : steps;
        if (port->type == UINT8) ((uint8_t *)stored)[i] = (uint8_t)value;
        else if (port->type == INT8) ((int8_t *)stored)[i] = (int8_t)value;
        else ((int16_t *)stored)[i] = (int16_t)value;
    }
}

static void set_input(const Tensor *tensor, const Port *port) {
    void *memory;
    check(LiteRtLockTensorBuffer(port->buffer, &memory, WRITE), MISSING, "an input cannot be written");
    int is_small = port->type == UINT8 || port->type == INT8 || port->type == INT16;
    if (port->type == tensor->type) memcpy(memory, tensor->data, tensor->bytes);
    else if (tensor->type == FLOAT32 && port->steps.scale > 0 && is_small) quantize(tensor, port, memory);
    else if (tensor->type == INT64 && port->type == INT32)
        for (size_t i = 0; i < count_of(tensor); i++) ((int32_t *)memory)[i] = (int32_t)((const int64_t *)tensor->data)[i];
    else fail(WRONG_INPUT, "an input does not have the type of the model");
    check(LiteRtUnlockTensorBuffer(port->buffer), MISSING, "an input cannot be written");
}

/* The output as real numbers where the file stores steps. */
static void get_output(const Port *port, void **result, Tensor *tensor) {
    void *memory;
    Tensor stored = {port->type, port->rank, {0}, size_of(port->type), NULL};
    for (int axis = 0; axis < port->rank; axis++) stored.bytes *= (size_t)(stored.sizes[axis] = port->sizes[axis]);
    check(LiteRtLockTensorBuffer(port->buffer, &memory, READ), MISSING, "an output cannot be read");
    stored.data = memory, *tensor = stored;
    size_t count = count_of(&stored);
    if (port->steps.scale > 0) tensor->type = FLOAT32, tensor->bytes = 4 * count;
    tensor->data = *result = realloc(*result, tensor->bytes ? tensor->bytes : 1);
    if (!tensor->data) fail(MISSING, "there is not enough memory");
    if (port->steps.scale > 0)
        for (size_t i = 0; i < count; i++)
            ((float *)tensor->data)[i] = ((float)value_of(&stored, i) - (float)port->steps.zero) * port->steps.scale;
    else memcpy(tensor->data, memory, tensor->bytes);
    check(LiteRtUnlockTensorBuffer(port->buffer), MISSING, "an output cannot be read");
}

void model_run(const Tensor *inputs, Tensor *outputs) {
    void *given[MAX_TENSORS], *found[MAX_TENSORS];
    select_signature(inputs);
    for (int i = 0; i < settings.input_count; i++) {
        set_input(&inputs[i], &inputs_of_run[i]);
        given[inputs_of_run[i].place] = inputs_of_run[i].buffer;
    }
    for (int i = 0; i < settings.output_count; i++) found[outputs_of_run[i].place] = outputs_of_run[i].buffer;
    check(LiteRtRunCompiledModel(compiled, chosen, (size_t)settings.input_count, given, (size_t)settings.output_count, found),
          WRONG_INPUT, "the model does not run on this input");
    for (int i = 0; i < settings.output_count; i++) get_output(&outputs_of_run[i], &results[i], &outputs[i]);
}

void model_close(void) {
    if (!LiteRtDestroyEnvironment) return;
    forget_signature();
    for (int i = 0; i < MAX_TENSORS; i++) free(results[i]), results[i] = NULL;
    if (compiled) LiteRtDestroyCompiledModel(compiled);
    if (options) LiteRtDestroyOptions(options);
    if (model) LiteRtDestroyModel(model);
    if (environment) LiteRtDestroyEnvironment(environment);
    compiled = options = model = environment = NULL;
}

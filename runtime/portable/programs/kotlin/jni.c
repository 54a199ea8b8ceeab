/* The files in C for Kotlin: the functions of `Native` in Native.kt. Where the program in C ends, these throw: a wrong
 * input is an IllegalArgumentException, everything else an IllegalStateException. Kotlin calls them one at a time. */
#include "fail.h"
#include "input.h"
#include <jni.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TENSORS = 64 };

static Tensor inputs[MAX_TENSORS], outputs[MAX_TENSORS];
static jmp_buf caller;
static int failure;
static char message[1200];

void fail(int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    failure = code;
    longjmp(caller, 1);
}

/* Throw what `fail` was told. A text of the backend may not be what Java takes for UTF-8. */
static void *thrown(JNIEnv *java) {
    const char *kind = failure == WRONG_INPUT ? "java/lang/IllegalArgumentException" : "java/lang/IllegalStateException";
    for (char *one = message; *one; one++) if ((unsigned char)*one > 126) *one = '?';
    (*java)->ThrowNew(java, (*java)->FindClass(java, kind), message);
    return NULL;
}

static void *memory(size_t bytes) {
    void *found = malloc(bytes ? bytes : 1);
    if (!found) fail(MISSING, "there is not enough memory");
    return found;
}

static void set_input(int place, Tensor tensor) {
    free(inputs[place].data);
    inputs[place] = tensor;
}

static const Tensor *tensor_of(jboolean is_output, jint place) { return is_output ? &outputs[place] : &inputs[place]; }

static jbyteArray bytes_of(JNIEnv *java, const void *data, size_t size) {
    jbyteArray found = (*java)->NewByteArray(java, (jsize)size);
    if (found) (*java)->SetByteArrayRegion(java, found, 0, (jsize)size, data);
    return found;
}

JNIEXPORT void JNICALL Java_edgekit_model_Native_close(JNIEnv *java, jobject self) {
    (void)java, (void)self;
    for (int place = 0; place < MAX_TENSORS; place++) set_input(place, (Tensor){0});
    memset(outputs, 0, sizeof outputs);
    model_close();
}

JNIEXPORT jstring JNICALL Java_edgekit_model_Native_open(JNIEnv *java, jobject self, jbyteArray path, jint threads) {
    char name[4096] = {0};
    jsize length = (*java)->GetArrayLength(java, path);
    if (setjmp(caller)) {
        Java_edgekit_model_Native_close(java, self);
        return thrown(java);
    }
    if (length >= (jsize)sizeof name) fail(WRONG_INPUT, "the path of the model is too long");
    (*java)->GetByteArrayRegion(java, path, 0, length, (jbyte *)name);
    return (*java)->NewStringUTF(java, model_open(name, threads));
}

/* What `Facts` in Native.kt has, in its order. */
JNIEXPORT jintArray JNICALL Java_edgekit_model_Native_facts(JNIEnv *java, jobject self) {
    (void)self;
    const jint facts[] = {settings.input_count, settings.output_count, settings.is_classification,
                          settings.is_probability, settings.kind};
    jintArray found = (*java)->NewIntArray(java, sizeof facts / sizeof *facts);
    if (found) (*java)->SetIntArrayRegion(java, found, 0, sizeof facts / sizeof *facts, facts);
    return found;
}

/* The labels in UTF-8, each with a line feed behind it. */
JNIEXPORT jbyteArray JNICALL Java_edgekit_model_Native_labels(JNIEnv *java, jobject self) {
    (void)self;
    jsize size = 0, place = 0;
    for (int i = 0; i < settings.label_count; i++) size += (jsize)strlen(settings.labels[i]) + 1;
    jbyteArray found = (*java)->NewByteArray(java, size);
    for (int i = 0; found && i < settings.label_count; i++) {
        jsize length = (jsize)strlen(settings.labels[i]);
        (*java)->SetByteArrayRegion(java, found, place, length, (const jbyte *)settings.labels[i]);
        (*java)->SetByteArrayRegion(java, found, place + length, 1, (const jbyte *)"\n");
        place += length + 1;
    }
    return found;
}

/* The shape of input `place`, 0 for a size that is not fixed. */
JNIEXPORT jlongArray JNICALL Java_edgekit_model_Native_wanted(JNIEnv *java, jobject self, jint place) {
    (void)self;
    const TensorSettings *input = &settings.inputs[place];
    jlongArray found = (*java)->NewLongArray(java, input->rank);
    if (found) (*java)->SetLongArrayRegion(java, found, 0, input->rank, (const jlong *)input->sizes);
    return found;
}

JNIEXPORT void JNICALL Java_edgekit_model_Native_setTensor(JNIEnv *java, jobject self, jint place, jint type,
                                                           jlongArray shape, jbyteArray bytes) {
    (void)self;
    Tensor tensor = {(Type)type, (*java)->GetArrayLength(java, shape), {0}, (size_t)(*java)->GetArrayLength(java, bytes), NULL};
    if (setjmp(caller)) {
        thrown(java);
        return;
    }
    if (tensor.rank > MAX_RANK) fail(WRONG_INPUT, "input %d has more than %d axes", place, MAX_RANK);
    (*java)->GetLongArrayRegion(java, shape, 0, tensor.rank, (jlong *)tensor.sizes);
    if (!fits_input(&tensor, place)) fail(WRONG_INPUT, "input %d does not have the shape of the model", place);
    if (tensor.type != settings.inputs[place].type) fail(WRONG_INPUT, "input %d does not have the type of the model", place);
    tensor.data = memory(tensor.bytes);
    (*java)->GetByteArrayRegion(java, bytes, 0, (jsize)tensor.bytes, tensor.data);
    set_input(place, tensor);
}

/* A picture as the first input: resized, cut and normalised as edgekit does it. */
JNIEXPORT void JNICALL Java_edgekit_model_Native_setPicture(JNIEnv *java, jobject self, jbyteArray rgb, jint width,
                                                            jint height) {
    (void)self;
    if (setjmp(caller)) {
        thrown(java);
        return;
    }
    set_input(0, new_input(0));
    Image image = new_image(height, width, 3);
    (*java)->GetByteArrayRegion(java, rgb, 0, width * height * 3, (jbyte *)image.pixels);
    image_tensor(image, &inputs[0]);
}

/* Sound as the first input: what is too long is cut off. */
JNIEXPORT void JNICALL Java_edgekit_model_Native_setSound(JNIEnv *java, jobject self, jshortArray samples) {
    (void)self;
    size_t count = (size_t)(*java)->GetArrayLength(java, samples);
    if (setjmp(caller)) {
        thrown(java);
        return;
    }
    set_input(0, new_input(0));
    jshort *values = memory(count * sizeof *values);
    (*java)->GetShortArrayRegion(java, samples, 0, (jsize)count, values);
    sound_tensor((const uint8_t *)values, count, &inputs[0]);
    free(values);
}

JNIEXPORT void JNICALL Java_edgekit_model_Native_run(JNIEnv *java, jobject self) {
    (void)self;
    if (setjmp(caller)) thrown(java);
    else model_run(inputs, outputs);
}

JNIEXPORT jint JNICALL Java_edgekit_model_Native_type(JNIEnv *java, jobject self, jboolean is_output, jint place) {
    (void)java, (void)self;
    return (jint)tensor_of(is_output, place)->type;
}

JNIEXPORT jlongArray JNICALL Java_edgekit_model_Native_shape(JNIEnv *java, jobject self, jboolean is_output, jint place) {
    (void)self;
    const Tensor *tensor = tensor_of(is_output, place);
    jlongArray found = (*java)->NewLongArray(java, tensor->rank);
    if (found) (*java)->SetLongArrayRegion(java, found, 0, tensor->rank, (const jlong *)tensor->sizes);
    return found;
}

JNIEXPORT jbyteArray JNICALL Java_edgekit_model_Native_bytes(JNIEnv *java, jobject self, jboolean is_output, jint place) {
    (void)self;
    const Tensor *tensor = tensor_of(is_output, place);
    return bytes_of(java, tensor->data, tensor->bytes);
}

/* Images as the model takes them. Resizing computes what Pillow computes: a fixed-point filter over all pixels that fall
 * into one, first along rows, then along columns. */
#include "fail.h"
#include "input.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BITS = 22 };
static const double PI = 3.14159265358979323846;

static double sinc(double x) { return x == 0 ? 1 : sin(x * PI) / (x * PI); }

/* The weight of a pixel at distance `x`, and how far the filter reaches. */
static double weight(Interpolation how, double x) {
    double far = fabs(x);
    switch (how) {
    case BOX: return x > -0.5 && x <= 0.5;
    case BILINEAR: return far < 1 ? 1 - far : 0;
    case HAMMING: return far == 0 ? 1 : far >= 1 ? 0 : sin(far * PI) / (far * PI) * (0.54 + 0.46 * cos(far * PI));
    case BICUBIC: return far < 1 ? ((-0.5 + 2) * far - (-0.5 + 3)) * far * far + 1
                       : far < 2 ? (((far - 5) * far + 8) * far - 4) * -0.5 : 0;
    case LANCZOS: return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
    case NEAREST: break;
    }
    return 0;
}

static double reach(Interpolation how) {
    return how == BOX ? 0.5 : how == BICUBIC ? 2 : how == LANCZOS ? 3 : 1;
}

static uint8_t clipped(int64_t sum) {
    int64_t value = sum >> BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* The weights of output `place` as fixed-point numbers; returns the first pixel and sets the one after the last. */
static int weights_of(int place, int from, double scale, Interpolation how, double *shares, int64_t *weights, int *end) {
    double wide = scale < 1 ? 1 : scale, support = reach(how) * wide, center = (place + 0.5) * scale, whole = 0;
    int first = (int)(center - support + 0.5);
    *end = (int)(center + support + 0.5);
    if (first < 0) first = 0;
    if (*end > from) *end = from;
    for (int x = first; x < *end; x++) whole += shares[x - first] = weight(how, (x - center + 0.5) * (1 / wide));
    for (int x = first; x < *end; x++) {
        double share = (whole != 0 ? shares[x - first] / whole : shares[x - first]) * (1 << BITS);
        weights[x - first] = (int64_t)(share < 0 ? share - 0.5 : share + 0.5);
    }
    return first;
}

/* Resize along rows, or along columns. */
static void filtered(const Image *in, Image *out, int is_row, Interpolation how) {
    size_t channels = (size_t)in->channels, step = is_row ? channels : channels * (size_t)in->width;
    size_t line_in = is_row ? channels * (size_t)in->width : channels, lines = (size_t)(is_row ? in->height : in->width);
    size_t step_out = is_row ? channels : channels * (size_t)out->width;
    size_t line_out = is_row ? channels * (size_t)out->width : channels;
    int from = is_row ? in->width : in->height, to = is_row ? out->width : out->height, end;
    double scale = (double)from / to;
    size_t most = (size_t)ceil(reach(how) * (scale < 1 ? 1 : scale)) * 2 + 1;
    double *shares = malloc(most * sizeof *shares);
    int64_t *weights = malloc(most * sizeof *weights);
    if (!shares || !weights) fail(MISSING, "there is not enough memory");
    for (int place = 0; place < to; place++) {
        int first = weights_of(place, from, scale, how, shares, weights, &end);
        for (size_t line = 0; line < lines; line++)
            for (size_t channel = 0; channel < channels; channel++) {
                const uint8_t *pixel = in->pixels + line * line_in + (size_t)first * step + channel;
                int64_t sum = 1 << (BITS - 1);
                for (int x = 0; x < end - first; x++, pixel += step) sum += weights[x] * *pixel;
                out->pixels[line * line_out + (size_t)place * step_out + channel] = clipped(sum);
            }
    }
    free(shares), free(weights);
}

static void nearest(const Image *in, Image *out) {
    double down = (double)in->height / out->height, across = (double)in->width / out->width, y = down * 0.5;
    for (int row = 0; row < out->height; row++, y += down) {
        double x = across * 0.5;
        for (int column = 0; column < out->width; column++, x += across) {
            size_t from = (size_t)(int)y * (size_t)in->width + (size_t)(int)x;
            size_t to = (size_t)row * (size_t)out->width + (size_t)column;
            memcpy(out->pixels + to * (size_t)in->channels, in->pixels + from * (size_t)in->channels, (size_t)in->channels);
        }
    }
}

Image new_image(int height, int width, int channels) {
    Image image = {height, width, channels, calloc((size_t)height * (size_t)width * (size_t)channels + 1, 1)};
    if (!image.pixels) fail(MISSING, "there is not enough memory for an image of %d x %d", width, height);
    return image;
}

static Image resized(Image in, int height, int width, Interpolation how) {
    if (in.height == height && in.width == width) return in;
    if (how == NEAREST) {
        Image out = new_image(height, width, in.channels);
        nearest(&in, &out);
        free(in.pixels);
        return out;
    }
    if (in.width != width) {
        Image out = new_image(in.height, width, in.channels);
        filtered(&in, &out, 1, how);
        free(in.pixels), in = out;
    }
    if (in.height != height) {
        Image out = new_image(height, in.width, in.channels);
        filtered(&in, &out, 0, how);
        free(in.pixels), in = out;
    }
    return in;
}

/* One channel of grey, or three of red, green and blue. */
static Image in_channels(Image in, int channels) {
    if (in.channels == channels) return in;
    Image out = new_image(in.height, in.width, channels);
    for (size_t pixel = 0; pixel < (size_t)in.height * (size_t)in.width; pixel++) {
        const uint8_t *from = in.pixels + pixel * (size_t)in.channels;
        uint8_t *to = out.pixels + pixel * (size_t)channels;
        if (channels == 1) to[0] = (uint8_t)((from[0] * 19595 + from[1] * 38470 + from[2] * 7471 + 0x8000) >> 16);
        else to[0] = to[1] = to[2] = from[0];
    }
    free(in.pixels);
    return out;
}

/* The centre of the model's size; what lies outside of a smaller image is black. */
static Image cut(Image in, int height, int width) {
    int top = (int)rint((in.height - height) / 2.0), left = (int)rint((in.width - width) / 2.0);
    Image out = new_image(height, width, in.channels);
    for (int row = 0; row < height; row++)
        for (int column = 0; column < width; column++) {
            int y = row + top, x = column + left;
            if (y < 0 || y >= in.height || x < 0 || x >= in.width) continue;
            memcpy(out.pixels + ((size_t)row * (size_t)width + (size_t)column) * (size_t)in.channels,
                   in.pixels + ((size_t)y * (size_t)in.width + (size_t)x) * (size_t)in.channels, (size_t)in.channels);
        }
    free(in.pixels);
    return out;
}

static Image prepared(Image in) {
    const ImageSettings *how = &settings.image;
    int height = how->height, width = how->width;
    if (how->resize_count == 2) height = how->resize[0], width = how->resize[1];
    if (how->resize_count == 1) {
        double side = how->resize[0];
        height = in.width <= in.height ? (int)(side * in.height / in.width) : how->resize[0];
        width = in.width <= in.height ? how->resize[0] : (int)(side * in.width / in.height);
    }
    if (height < 1 || width < 1) {
        free(in.pixels);
        fail(WRONG_INPUT, "the image is too narrow");
    }
    return cut(resized(in_channels(in, how->channels), height, width, how->interpolation), how->height, how->width);
}

void image_tensor(Image in, Tensor *tensor) {
    const ImageSettings *how = &settings.image;
    Image image = prepared(in);
    size_t area = (size_t)image.height * (size_t)image.width, channels = (size_t)image.channels;
    if (settings.is_raw) {
        memcpy(tensor->data, image.pixels, area * channels);
        free(image.pixels);
        return;
    }
    float *values = tensor->data, white = (float)(255.0 / (double)how->divisor);
    for (size_t pixel = 0; pixel < area; pixel++)
        for (size_t channel = 0; channel < channels; channel++) {
            size_t source = how->is_bgr ? channels - 1 - channel : channel;
            float value = image.pixels[pixel * channels + source] / how->divisor;
            if (how->invert) value = white - value;
            value = (value - how->mean[channel]) / how->std[channel];
            values[how->is_nhwc ? pixel * channels + channel : channel * area + pixel] = value;
        }
    free(image.pixels);
}

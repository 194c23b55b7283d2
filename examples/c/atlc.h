/* Decodes .atlc records and classifies them: one header, whole numbers only, no dependency. Written after docs/format.md,
 * section "Exact networks". examples/c/atlc.c shows the use:
 *
 *   atlc_network *network = atlc_load(file, bytes);              bytes of decompressor.onnx or classifier.onnx
 *   const atlc_value *result = atlc_run(network, record);        pixels 0..255, or logits; valid until the next run
 *   result->rank, result->dims, result->at                       dims[0] is 1, the number of records
 *
 * Both return NULL for a file that is not an exact network; atlc_error says why. A file that breaks the bounds of the page
 * gives wrong values, and does no other harm. Compile with -fwrapv if you read files of strangers. */
#ifndef ATLC_H
#define ATLC_H
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ATLC_RECORD = 200, ATLC_RANK = 8, ATLC_INPUTS = 16 };
#define ATLC_LARGEST (1 << 24) /* elements of a value */

/* `number`: at[] * 2^-places; else bytes, or weights of an ONNX type as they are stored */
typedef struct {
    int rank, places, number, type, constant;
    long dims[ATLC_RANK], size;
    int64_t *at;
} atlc_value;
typedef struct { const uint8_t *at, *end; } atlc_bytes;
typedef struct {
    atlc_bytes operator;
    int inputs[ATLC_INPUTS], count, output, axis, trans, axes;
    long perm[ATLC_RANK], pads[4], strides[2];
} atlc_node;
typedef struct {
    atlc_bytes *names;
    atlc_value *values;
    atlc_node *nodes;
    int name_count, node_count, source, target;
    jmp_buf fail;
    uint8_t *file;
    void *pending[8]; /* what a step has allocated, and nothing holds yet */
    int pending_count;
} atlc_network;

static const char *atlc_error = "";

static void atlc_fail(atlc_network *n, const char *why) {
    while (n->pending_count) free(n->pending[--n->pending_count]);
    atlc_error = why;
    longjmp(n->fail, 1);
}
static void *atlc_room(atlc_network *n, long count, size_t size) {
    void *room = count < 0 || count > ATLC_LARGEST ? NULL : calloc((size_t)count + 1, size);
    if (!room) atlc_fail(n, "takes too much memory");
    if (n->pending_count < 8) n->pending[n->pending_count++] = room;
    return room;
}

/* -- the CRC-32 of a record: the id of its codec -------------------------------------------------------------------- */

static uint32_t atlc_seal(const uint8_t *record) {
    uint32_t crc = 0xFFFFFFFFu;
    for (int at = 0; at < ATLC_RECORD; at++) {
        crc ^= record[at];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return crc ^ 0xFFFFFFFFu;
}

/* -- protobuf: each field is a number, and an integer or bytes ------------------------------------------------------ */

static uint64_t atlc_varint(atlc_network *n, atlc_bytes *from) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (from->at >= from->end) atlc_fail(n, "is cut off");
        value |= (uint64_t)(*from->at & 127) << shift;
        if (*from->at++ < 128) return value;
    }
    atlc_fail(n, "is not protobuf");
    return 0;
}
static int atlc_field(atlc_network *n, atlc_bytes *from, uint64_t *integer, atlc_bytes *bytes) {
    if (from->at >= from->end) return 0;
    uint64_t tag = atlc_varint(n, from), size = 0;
    *bytes = (atlc_bytes){NULL, NULL};
    if (tag >> 32 || !(tag >> 3)) atlc_fail(n, "is not protobuf");
    switch (tag & 7) {
    case 0: *integer = atlc_varint(n, from); return (int)(tag >> 3);
    case 1: size = 8; break;
    case 2: size = atlc_varint(n, from); break;
    case 5: size = 4; break;
    default: atlc_fail(n, "is not protobuf");
    }
    if (size > (uint64_t)(from->end - from->at)) atlc_fail(n, "is cut off");
    *bytes = (atlc_bytes){from->at, from->at + size};
    from->at += size;
    return (int)(tag >> 3);
}
static int atlc_is(atlc_bytes text, const char *word) {
    size_t size = strlen(word);
    return (size_t)(text.end - text.at) == size && !memcmp(text.at, word, size);
}
static int atlc_name(atlc_network *n, atlc_bytes name) {
    for (int k = 0; k < n->name_count; k++)
        if (name.end - name.at == n->names[k].end - n->names[k].at && !memcmp(name.at, n->names[k].at, (size_t)(name.end - name.at)))
            return k;
    n->names[n->name_count] = name;
    return n->name_count++;
}
/* A list of integers: one of them, or many packed together. Returns how many there are now. */
static int atlc_list(atlc_network *n, uint64_t integer, atlc_bytes bytes, long *list, int count, int most) {
    while (!bytes.at || bytes.at < bytes.end) {
        if (count == most) atlc_fail(n, "has too long a list");
        list[count++] = (long)(int64_t)(bytes.at ? atlc_varint(n, &bytes) : integer);
        if (!bytes.at) break;
    }
    return count;
}
static void atlc_shape(atlc_network *n, atlc_value *value, int rank, const long *dims) {
    if (rank > ATLC_RANK) atlc_fail(n, "has too many dimensions");
    value->rank = rank;
    value->size = 1;
    for (int k = 0; k < rank; k++) {
        value->dims[k] = dims[k];
        if (dims[k] < 0 || (dims[k] && value->size > ATLC_LARGEST / dims[k])) atlc_fail(n, "has too large a value");
        value->size *= dims[k];
    }
}
static void atlc_tensor(atlc_network *n, atlc_bytes message) {
    atlc_value value = {0};
    atlc_bytes name = {0}, raw = {0}, bytes;
    long dims[ATLC_RANK];
    int rank = 0, field;
    uint64_t integer = 0;
    while ((field = atlc_field(n, &message, &integer, &bytes))) {
        if (field == 1) rank = atlc_list(n, integer, bytes, dims, rank, ATLC_RANK);
        if (field == 2) value.type = (int)integer;
        if (field == 8) name = bytes;
        if (field == 9) raw = bytes;
    }
    atlc_shape(n, &value, rank, dims);
    int width = value.type == 2 || value.type == 3 ? 1 : value.type == 1 || value.type == 6 ? 4 : value.type == 7 ? 8 : 0;
    if (!width || raw.end - raw.at != value.size * width) atlc_fail(n, "has weights of another type or size");
    value.at = atlc_room(n, value.size, 8);
    value.constant = 1;
    for (long k = 0; k < value.size; k++) {
        uint64_t bits = 0;
        for (int byte = width; byte--;) bits = bits << 8 | raw.at[k * width + byte];
        value.at[k] = value.type == 3 ? (int8_t)bits : value.type == 6 ? (int32_t)bits : (int64_t)bits;
    }
    int at = atlc_name(n, name);
    free(n->values[at].at);
    n->values[at] = value;
    n->pending_count = 0;
}
static void atlc_attribute(atlc_network *n, atlc_node *node, atlc_bytes message) {
    atlc_bytes name = {0}, text = {0}, bytes;
    long list[ATLC_RANK] = {0};
    int count = 0, field;
    uint64_t integer = 0;
    while ((field = atlc_field(n, &message, &integer, &bytes))) {
        if (field == 1) name = bytes;
        if (field == 4) text = bytes;
        if (field == 3 || field == 8) count = atlc_list(n, integer, bytes, list, count, ATLC_RANK);
    }
    if (atlc_is(name, "axis")) node->axis = (int)list[0];
    else if (atlc_is(name, "transB")) node->trans = (int)list[0];
    else if (atlc_is(name, "perm")) memcpy(node->perm, list, sizeof list), node->axes = count;
    else if (atlc_is(name, "pads")) memcpy(node->pads, list, sizeof node->pads);
    else if (atlc_is(name, "strides")) memcpy(node->strides, list, sizeof node->strides);
    else if (!atlc_is(name, "kernel_shape") && !(atlc_is(name, "direction") && atlc_is(text, "RIGHT")))
        atlc_fail(n, "has an attribute that exact networks do not have");
}
static void atlc_read_node(atlc_network *n, atlc_bytes message) {
    atlc_node *node = &n->nodes[n->node_count++];
    atlc_bytes bytes;
    uint64_t integer = 0;
    int field, outputs = 0;
    *node = (atlc_node){.axis = -100, .strides = {1, 1}};
    while ((field = atlc_field(n, &message, &integer, &bytes))) {
        if (field == 1 && node->count == ATLC_INPUTS) atlc_fail(n, "has a node with too many inputs");
        if (field == 1) node->inputs[node->count++] = atlc_name(n, bytes);
        if (field == 2) node->output = atlc_name(n, bytes), outputs++;
        if (field == 4) node->operator = bytes;
        if (field == 5) atlc_attribute(n, node, bytes);
    }
    if (outputs != 1 || !node->count) atlc_fail(n, "has a node without inputs, or with several outputs");
}
static int atlc_port(atlc_network *n, atlc_bytes message) {
    atlc_bytes bytes, name = {0};
    uint64_t integer = 0;
    int field;
    while ((field = atlc_field(n, &message, &integer, &bytes)))
        if (field == 1) name = bytes;
    return atlc_name(n, name);
}

/* -- the operators, with the meaning that ONNX gives them ----------------------------------------------------------- */

static int64_t atlc_round(int64_t whole, int dropped) { /* whole / 2^dropped, halves to the even one */
    if (dropped <= 0) return dropped < -40 ? 0 : whole * ((int64_t)1 << -dropped);
    if (dropped > 62) return 0;
    return (whole + (((int64_t)1 << (dropped - 1)) - 1) + (whole >> dropped & 1)) >> dropped;
}
/* A scale, m * 2^-k, from the bits of its float32. */
static int64_t atlc_scale(atlc_network *n, int64_t bits, int *k) {
    int exponent = (int)(bits >> 23 & 255);
    int64_t m = (bits & 0x7FFFFF) | 0x800000;
    if (bits >> 31 & 1 || exponent < 90 || exponent > 140) atlc_fail(n, "has a scale out of range");
    for (*k = 150 - exponent; !(m & 1); m >>= 1) --*k;
    return m;
}
/* Where the element `at` of `like` lies in a value that is broadcast to its shape. */
static long atlc_place(const atlc_value *like, long at, const atlc_value *value) {
    long place = 0, step = 1;
    for (int k = like->rank - 1, v = value->rank - 1; v >= 0 && k >= 0; k--, v--) {
        if (value->dims[v] > 1) place += at % like->dims[k] * step;
        at /= like->dims[k];
        step *= value->dims[v];
    }
    return place;
}
static void atlc_broadcast(atlc_network *n, const atlc_value *a, const atlc_value *b, atlc_value *y) {
    long dims[ATLC_RANK];
    int rank = a->rank > b->rank ? a->rank : b->rank;
    for (int k = 1; k <= rank; k++) {
        long p = k > a->rank ? 1 : a->dims[a->rank - k], q = k > b->rank ? 1 : b->dims[b->rank - k];
        if (p != q && p != 1 && q != 1) atlc_fail(n, "has shapes that do not fit");
        dims[rank - k] = p == 1 ? q : p;
    }
    atlc_shape(n, y, rank, dims);
    y->at = atlc_room(n, y->size, 8);
}
static void atlc_dequantise(atlc_network *n, const atlc_node *node, atlc_value **in, atlc_value *y) {
    const atlc_value *x = in[0], *scale = in[1], *zero = node->count > 2 ? in[2] : NULL;
    int axis = scale->rank ? node->axis == -100 ? 1 : node->axis : 0, k;
    long inner = 1, channels = scale->size;
    if (scale->type != 1 || axis < 0 || axis >= (x->rank ? x->rank : 1)) atlc_fail(n, "has scales that do not fit");
    for (int at = axis + 1; scale->rank && at < x->rank; at++) inner *= x->dims[at];
    if ((scale->rank && x->dims[axis] != channels) || (zero && zero->size != channels)) atlc_fail(n, "has scales that do not fit");
    for (long c = 0; c < channels; c++) {
        atlc_scale(n, scale->at[c], &k);
        if (!c || k > y->places) y->places = k;
    }
    y->number = 1;
    for (long at = 0; at < x->size; at++) {
        long c = scale->rank ? at / inner % channels : 0;
        int64_t m = atlc_scale(n, scale->at[c], &k);
        y->at[at] = (x->at[at] - (zero ? zero->at[c] : 0)) * m * ((int64_t)1 << (y->places - k));
    }
}
static void atlc_quantise(atlc_network *n, atlc_value **in, atlc_value *y) {
    int k;
    if (in[1]->type != 1 || atlc_scale(n, in[1]->at[0], &k) != 1) atlc_fail(n, "has a scale that is not a power of two");
    int64_t low = in[2]->type == 3 ? -128 : 0, high = low + 255;
    for (long at = 0; at < y->size; at++) {
        int64_t value = atlc_round(in[0]->at[at], in[0]->places - k) + in[2]->at[0];
        y->at[at] = value < low ? low : value > high ? high : value;
    }
    y->number = y->places = 0;
}
static void atlc_product(atlc_network *n, const atlc_node *node, atlc_value **in, atlc_value *y) {
    const atlc_value *a = in[0], *b = in[1];
    if (a->rank < 2 || b->rank < 2) atlc_fail(n, "has shapes that do not fit");
    long rows = a->dims[a->rank - 2], terms = a->dims[a->rank - 1];
    long columns = b->dims[b->rank - (node->trans ? 2 : 1)], dims[ATLC_RANK];
    const atlc_value *more = a->rank >= b->rank ? a : b;
    if (rows < 1 || terms < 1 || columns < 1) atlc_fail(n, "has shapes that do not fit");
    long times_a = a->size / (rows * terms), times_b = b->size / (terms * columns);
    if (b->dims[b->rank - (node->trans ? 1 : 2)] != terms || (times_a != times_b && times_a != 1 && times_b != 1))
        atlc_fail(n, "has shapes that do not fit");
    memcpy(dims, more->dims, sizeof dims);
    dims[more->rank - 2] = rows;
    dims[more->rank - 1] = columns;
    atlc_shape(n, y, more->rank, dims);
    y->at = atlc_room(n, y->size, 8);
    y->number = 1;
    y->places = a->places + b->places;
    for (long at = 0; at < y->size; at++) {
        long column = at % columns, row = at / columns % rows, batch = at / columns / rows;
        const int64_t *left = a->at + ((times_a > 1 ? batch : 0) * rows + row) * terms;
        const int64_t *right = b->at + (times_b > 1 ? batch : 0) * terms * columns;
        int64_t sum = 0;
        for (long k = 0; k < terms; k++) sum += left[k] * (node->trans ? right[column * terms + k] : right[k * columns + column]);
        y->at[at] = sum;
    }
}
static void atlc_conv(atlc_network *n, const atlc_node *node, atlc_value **in, atlc_value *y) {
    const atlc_value *x = in[0], *w = in[1];
    if (x->rank != 4 || w->rank != 4 || x->dims[1] != w->dims[1] || node->strides[0] < 1 || node->strides[1] < 1)
        atlc_fail(n, "has shapes that do not fit");
    long height = x->dims[2], width = x->dims[3], kh = w->dims[2], kw = w->dims[3], inner = x->dims[1];
    long dims[4] = {x->dims[0], w->dims[0], 0, 0};
    for (int k = 0; k < 4; k++) if (node->pads[k] < 0 || node->pads[k] > 4096) atlc_fail(n, "has pads out of range");
    dims[2] = (height + node->pads[0] + node->pads[2] - kh) / node->strides[0] + 1;
    dims[3] = (width + node->pads[1] + node->pads[3] - kw) / node->strides[1] + 1;
    atlc_shape(n, y, 4, dims);
    y->at = atlc_room(n, y->size, 8);
    y->number = 1;
    y->places = x->places + w->places;
    for (long at = 0; at < y->size; at++) {
        long left = at % dims[3] * node->strides[1] - node->pads[1], top = at / dims[3] % dims[2] * node->strides[0] - node->pads[0];
        long output = at / dims[3] / dims[2] % dims[1], image = at / dims[3] / dims[2] / dims[1];
        int64_t sum = 0;
        for (long c = 0; c < inner; c++)
            for (long i = top < 0 ? -top : 0; i < kh && top + i < height; i++)
                for (long j = left < 0 ? -left : 0; j < kw && left + j < width; j++)
                    sum += x->at[((image * inner + c) * height + top + i) * width + left + j] * w->at[((output * inner + c) * kh + i) * kw + j];
        y->at[at] = sum;
    }
}
static void atlc_add(atlc_network *n, const atlc_value *a, const atlc_value *b, int64_t sign, int per_channel, atlc_value *y) {
    atlc_value shaped = *b;
    if (per_channel) shaped.rank = 3, shaped.dims[1] = shaped.dims[2] = 1; /* (C) as (C, 1, 1) */
    atlc_broadcast(n, a, &shaped, y);
    y->number = 1;
    y->places = a->places > b->places ? a->places : b->places;
    if (y->places - a->places > 40 || y->places - b->places > 40) atlc_fail(n, "has units too far apart");
    int64_t left = (int64_t)1 << (y->places - a->places), right = sign * ((int64_t)1 << (y->places - b->places));
    for (long at = 0; at < y->size; at++)
        y->at[at] = a->at[atlc_place(y, at, a)] * left + b->at[atlc_place(y, at, &shaped)] * right;
}
static void atlc_bits(atlc_network *n, int shift, atlc_value **in, atlc_value *y) {
    atlc_broadcast(n, in[0], in[1], y);
    for (long at = 0; at < y->size; at++) {
        int64_t left = in[0]->at[atlc_place(y, at, in[0])], right = in[1]->at[atlc_place(y, at, in[1])];
        y->at[at] = !shift ? left & right : right < 0 || right > 7 ? 0 : left >> right;
    }
}
static void atlc_concat(atlc_network *n, const atlc_node *node, atlc_value **in, atlc_value *y) {
    long dims[ATLC_RANK], inner = 1, done = 0;
    int axis = node->axis;
    memcpy(dims, in[0]->dims, sizeof dims);
    if (axis < 0 || axis >= in[0]->rank) atlc_fail(n, "has an axis out of range");
    for (int k = 1; k < node->count; k++) {
        for (int d = 0; d < in[0]->rank; d++)
            if (in[k]->rank != in[0]->rank || (d != axis && in[k]->dims[d] != dims[d])) atlc_fail(n, "has shapes that do not fit");
        dims[axis] += in[k]->dims[axis];
    }
    atlc_shape(n, y, in[0]->rank, dims);
    y->at = atlc_room(n, y->size, 8);
    for (int d = axis + 1; d < y->rank; d++) inner *= dims[d];
    for (int k = 0; k < node->count; done += in[k++]->dims[axis] * inner)
        for (long at = 0, run = in[k]->dims[axis] * inner; at < in[k]->size; at++)
            y->at[at / run * dims[axis] * inner + done + at % run] = in[k]->at[at];
}
static void atlc_reshape(atlc_network *n, atlc_value **in, atlc_value *y) {
    long dims[ATLC_RANK], known = 1, free_axis = -1;
    if (in[1]->size > ATLC_RANK) atlc_fail(n, "has too many dimensions");
    for (int k = 0; k < in[1]->size; k++) {
        dims[k] = in[1]->at[k] == 0 && k < in[0]->rank ? in[0]->dims[k] : (long)in[1]->at[k];
        if (dims[k] == -1) free_axis = k;
        else if (dims[k] < 1 || known > ATLC_LARGEST / dims[k]) atlc_fail(n, "has shapes that do not fit");
        else known *= dims[k];
    }
    if (free_axis >= 0) dims[free_axis] = in[0]->size / known;
    atlc_shape(n, y, (int)in[1]->size, dims);
    if (y->size != in[0]->size) atlc_fail(n, "has shapes that do not fit");
}
static void atlc_moved(atlc_network *n, const atlc_value *x, const long *first, const long *steps, atlc_value *y) {
    y->at = atlc_room(n, y->size, 8);
    for (long at = 0; at < y->size; at++) {
        long rest = at, from = 0;
        for (int k = y->rank - 1; k >= 0; rest /= y->dims[k--]) from += (rest % y->dims[k] + first[k]) * steps[k];
        y->at[at] = x->at[from];
    }
}
static void atlc_move(atlc_network *n, const atlc_node *node, atlc_value **in, atlc_value *y) {
    const atlc_value *x = in[0];
    long own[ATLC_RANK], steps[ATLC_RANK], first[ATLC_RANK] = {0}, dims[ATLC_RANK], step = 1, seen = 0;
    for (int k = x->rank - 1; k >= 0; step *= x->dims[k--]) own[k] = steps[k] = step, dims[k] = x->dims[k];
    if (node->axes) { /* Transpose */
        for (int k = 0; k < x->rank; k++) {
            long from = node->perm[k];
            if (node->axes != x->rank || from < 0 || from >= x->rank || seen >> from & 1) atlc_fail(n, "has shapes that do not fit");
            seen |= 1L << from, dims[k] = x->dims[from], steps[k] = own[from];
        }
    } else /* Slice */
        for (int k = 0; node->count > 3 && k < in[1]->size; k++) {
            long axis = k < in[3]->size ? (long)in[3]->at[k] : -1, start = (long)in[1]->at[k], end = k < in[2]->size ? (long)in[2]->at[k] : 0;
            if (axis < 0 || axis >= x->rank) atlc_fail(n, "has an axis out of range");
            if (end > x->dims[axis]) end = x->dims[axis];
            if (end < 0) end += x->dims[axis];
            if (start < 0) start += x->dims[axis];
            if (start < 0 || end < start) atlc_fail(n, "has shapes that do not fit");
            first[axis] = start, dims[axis] = end - start;
        }
    atlc_shape(n, y, x->rank, dims);
    atlc_moved(n, x, first, steps, y);
}
static int64_t atlc_whole(atlc_network *n, const atlc_value *limit) { /* one number, also a float32 that is whole */
    int64_t bits = limit->at[0];
    if (limit->size != 1) atlc_fail(n, "has limits that are not single numbers");
    if (limit->type != 1 || !(bits & 0x7FFFFFFF)) return limit->type == 1 ? 0 : bits;
    int k = 150 - (int)(bits >> 23 & 255);
    int64_t m = (bits & 0x7FFFFF) | 0x800000;
    if (k < 0 || k > 23 || m & (((int64_t)1 << k) - 1)) atlc_fail(n, "has limits that are not whole numbers");
    return bits >> 31 & 1 ? -(m >> k) : m >> k;
}
static void atlc_limit(atlc_network *n, int relu, int count, atlc_value **in, atlc_value *y) {
    if (!relu && count < 3) atlc_fail(n, "has a Clip without limits");
    if (y->number && y->places < 0) { /* the limits are whole */
        for (long at = 0; at < y->size; at++) y->at[at] = atlc_round(y->at[at], y->places);
        y->places = 0;
    }
    int64_t unit = y->number && y->places < 40 ? (int64_t)1 << y->places : 1;
    int64_t low = relu ? 0 : atlc_whole(n, in[1]) * unit, high = relu ? INT64_MAX : atlc_whole(n, in[2]) * unit;
    for (long at = 0; at < y->size; at++) y->at[at] = y->at[at] < low ? low : y->at[at] > high ? high : y->at[at];
}
static void atlc_step(atlc_network *n, const atlc_node *node) {
    atlc_value *in[ATLC_INPUTS], y = {0};
    int constant = 1, least = 1;
    for (int k = 0; k < node->count; k++) {
        in[k] = &n->values[node->inputs[k]];
        if (!in[k]->at) atlc_fail(n, "takes a value that nothing computes before it");
        constant &= in[k]->constant;
    }
    atlc_bytes op = node->operator;
    static const char *two[] = {"Add", "Sub", "BitShift", "BitwiseAnd", "Reshape", "MatMul", "DequantizeLinear", "Conv", "Gemm"};
    for (int k = 0; k < 9; k++) if (atlc_is(op, two[k])) least = 2;
    if (node->count < (atlc_is(op, "QuantizeLinear") ? 3 : least)) atlc_fail(n, "has a node that lacks inputs");
    y.number = in[0]->number, y.places = in[0]->places;
    if (atlc_is(op, "Add") || atlc_is(op, "Sub")) atlc_add(n, in[0], in[1], atlc_is(op, "Add") ? 1 : -1, 0, &y);
    else if (atlc_is(op, "BitShift") || atlc_is(op, "BitwiseAnd")) atlc_bits(n, atlc_is(op, "BitShift"), in, &y);
    else if (atlc_is(op, "Concat")) atlc_concat(n, node, in, &y);
    else if (atlc_is(op, "Slice") || atlc_is(op, "Transpose")) atlc_move(n, node, in, &y);
    else if (atlc_is(op, "MatMul") || atlc_is(op, "Gemm") || atlc_is(op, "Conv")) {
        if (atlc_is(op, "Conv")) atlc_conv(n, node, in, &y);
        else atlc_product(n, node, in, &y);
        if (node->count > 2) {
            atlc_value sum = {0};
            atlc_add(n, &y, in[2], 1, atlc_is(op, "Conv"), &sum);
            free(y.at);
            y = sum;
        }
    } else { /* the same shape, or only another one */
        atlc_shape(n, &y, in[0]->rank, in[0]->dims);
        if (atlc_is(op, "Reshape")) atlc_reshape(n, in, &y);
        y.at = atlc_room(n, y.size, 8);
        memcpy(y.at, in[0]->at, (size_t)y.size * 8);
        if (atlc_is(op, "DequantizeLinear")) atlc_dequantise(n, node, in, &y);
        else if (atlc_is(op, "QuantizeLinear")) atlc_quantise(n, in, &y);
        else if (atlc_is(op, "Relu") || atlc_is(op, "Clip")) atlc_limit(n, atlc_is(op, "Relu"), node->count, in, &y);
        else if (atlc_is(op, "Round")) {
            for (long at = 0; at < y.size; at++) y.at[at] = atlc_round(y.at[at], y.places);
            y.places = 0;
        } else if (!atlc_is(op, "Reshape")) atlc_fail(n, "has an operator that exact networks do not have");
    }
    y.constant = constant;
    free(n->values[node->output].at);
    n->values[node->output] = y;
    n->pending_count = 0;
}

/* -- what a program calls ------------------------------------------------------------------------------------------- */

static void atlc_free(atlc_network *n) {
    if (!n) return;
    for (int k = 0; n->values && k < n->name_count; k++) free(n->values[k].at);
    free(n->names), free(n->values), free(n->nodes), free(n->file), free(n);
}
static void atlc_read(atlc_network *n, const uint8_t *file, size_t size) {
    if (size < 8 || size > 64 << 20) atlc_fail(n, "is not an ONNX file");
    n->file = atlc_room(n, (long)size / 4 + 1, 4), n->pending_count = 0;
    memcpy(n->file, file, size);
    long most = (long)size / 2 + 2; /* a name takes two bytes at least */
    if (most > 100000) most = 100000;
    n->names = atlc_room(n, most, sizeof *n->names), n->pending_count = 0;
    n->values = atlc_room(n, most, sizeof *n->values), n->pending_count = 0;
    n->nodes = atlc_room(n, most, sizeof *n->nodes);
    n->pending_count = 0;
    atlc_bytes all = {n->file, n->file + size}, graph = {0}, bytes, part;
    uint64_t integer = 0;
    int field;
    while ((field = atlc_field(n, &all, &integer, &bytes)))
        if (field == 7) graph = bytes;
    n->source = n->target = -1;
    for (part = graph; (field = atlc_field(n, &part, &integer, &bytes));) {
        if (n->name_count + ATLC_INPUTS + 2 > most || n->node_count == most) atlc_fail(n, "has too many nodes");
        if (field == 1) atlc_read_node(n, bytes);
        if (field == 5) atlc_tensor(n, bytes);
        if (field == 11) n->source = atlc_port(n, bytes);
        if (field == 12) n->target = atlc_port(n, bytes);
    }
    if (n->source < 0 || n->target < 0) atlc_fail(n, "must have one input and one output");
}
static int atlc_reads(atlc_network *n, const uint8_t *file, size_t size) {
    if (setjmp(n->fail)) return 0;
    atlc_read(n, file, size);
    return 1;
}
static atlc_network *atlc_load(const uint8_t *file, size_t size) {
    atlc_network *n = calloc(1, sizeof *n);
    if (n && !atlc_reads(n, file, size)) {
        atlc_free(n);
        n = NULL;
    }
    return n;
}
static const atlc_value *atlc_run(atlc_network *n, const uint8_t *record) {
    long dims[2] = {1, ATLC_RECORD};
    if (setjmp(n->fail)) return NULL;
    for (int k = 0; k < n->name_count; k++)
        if (!n->values[k].constant) free(n->values[k].at), n->values[k].at = NULL;
    atlc_value *source = &n->values[n->source];
    atlc_shape(n, source, 2, dims);
    source->type = 2;
    source->at = atlc_room(n, ATLC_RECORD, 8), n->pending_count = 0;
    for (int k = 0; k < ATLC_RECORD; k++) source->at[k] = record[k];
    for (int k = 0; k < n->node_count; k++)
        if (!n->values[n->nodes[k].output].constant) atlc_step(n, &n->nodes[k]);
    atlc_value *result = &n->values[n->target];
    if (!result->at) atlc_fail(n, "does not compute its output");
    if (result->number) /* logits: whole numbers */
        for (long k = 0; k < result->size; k++) result->at[k] = atlc_round(result->at[k], result->places);
    result->places = 0;
    return result;
}
#endif

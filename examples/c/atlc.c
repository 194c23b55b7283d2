/* Prints what an exact network makes of the records on standard input, a line for each: the bytes of an image in hexadecimal,
 * or logits.
 *
 *   cc -O2 -fwrapv atlc.c -o atlc
 *   ./atlc models/mnist/decompressor.onnx < set.atlc
 */
#include "atlc.h"
#include <stdio.h>

int main(int count, char **arguments) {
    FILE *file = count == 2 ? fopen(arguments[1], "rb") : NULL;
    if (!file) {
        fprintf(stderr, "usage: atlc NETWORK.onnx < RECORDS\n");
        return 2;
    }
    size_t room = 1 << 20, size = 0, more;
    uint8_t *data = malloc(room), record[ATLC_RECORD];
    while (data && (more = fread(data + size, 1, room - size, file))) {
        size += more;
        if (size == room) data = realloc(data, room *= 2);
    }
    fclose(file);
    atlc_network *network = data ? atlc_load(data, size) : NULL;
    free(data);
    while (network && fread(record, 1, sizeof record, stdin) == sizeof record) {
        const atlc_value *result = atlc_run(network, record);
        if (!result) break;
        printf("%08x", (unsigned)atlc_seal(record));
        for (long at = 0; at < result->size; at++)
            result->number ? printf(" %ld", (long)result->at[at]) : printf("%s%02x", at ? "" : " ", (unsigned)result->at[at] & 255);
        putchar('\n');
    }
    if (*atlc_error) fprintf(stderr, "%s: %s\n", arguments[1], atlc_error);
    atlc_free(network);
    return *atlc_error ? 1 : 0;
}

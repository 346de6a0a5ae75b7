// Stands in for p11-kit in programs that are linked statically. GnuTLS asks p11-kit for smart cards and the like, which rtun
// never does; but there is no archive of p11-kit, and its purpose, to load other people's modules, is one that a static
// program cannot serve. So: there are no modules, no URI of PKCS #11 is understood, and nobody has a PIN.
//
// The functions are those that GnuTLS refers to, and have the types that p11-kit's manual gives them, with `void *` for
// what it keeps to itself.

#include <stddef.h>
#include <string.h>

enum {
    refused = 0x80000001,  // a return value that is the vendor's: CKR_VENDOR_DEFINED and 1
    uri_unexpected = -1,   // P11_KIT_URI_UNEXPECTED
    no_more = 1,           // CKR_CANCEL, with which an iterator ends
};

static const char reason[] = "PKCS #11 is not part of statically linked programs";

// What a pointer points to where none is allowed to be null.
static char nothing[1];

// Modules.

void **p11_kit_modules_load(const char *reserved, int flags) {
    (void)reserved;
    (void)flags;
    return NULL;
}

void *p11_kit_module_load(const char *path, int flags) {
    (void)path;
    (void)flags;
    return NULL;
}

unsigned long p11_kit_module_finalize(void *module) {
    (void)module;
    return refused;
}

void p11_kit_module_release(void *module) { (void)module; }

int p11_kit_module_get_flags(void *module) {
    (void)module;
    return 0;
}

char *p11_kit_module_get_name(void *module) {
    (void)module;
    return NULL;
}

char *p11_kit_config_option(void *module, const char *option) {
    (void)module;
    (void)option;
    return NULL;
}

const char *p11_kit_strerror(unsigned long code) {
    (void)code;
    return reason;
}

const char *p11_kit_message(void) { return reason; }

// Strings padded with spaces.

size_t p11_kit_space_strlen(const unsigned char *text, size_t size) {
    while (size > 0 && text[size - 1] == ' ') size--;
    return size;
}

char *p11_kit_space_strdup(const unsigned char *text, size_t size) {
    return strndup((const char *)text, p11_kit_space_strlen(text, size));
}

// PINs.

int p11_kit_pin_register_callback(const char *source, void *callback, void *data, void (*destroy)(void *)) {
    (void)source;
    (void)callback;
    (void)data;
    (void)destroy;
    return -1;
}

void p11_kit_pin_unregister_callback(const char *source, void *callback, void *data) {
    (void)source;
    (void)callback;
    (void)data;
}

void *p11_kit_pin_request(const char *source, void *uri, const char *description, unsigned flags) {
    (void)source;
    (void)uri;
    (void)description;
    (void)flags;
    return NULL;
}

void *p11_kit_pin_file_callback(const char *source, void *uri, const char *description, unsigned flags, void *data) {
    (void)data;
    return p11_kit_pin_request(source, uri, description, flags);
}

void *p11_kit_pin_new_for_string(const char *value) {
    (void)value;
    return NULL;
}

void p11_kit_pin_unref(void *pin) { (void)pin; }

const unsigned char *p11_kit_pin_get_value(void *pin, size_t *size) {
    (void)pin;
    if (size != NULL) *size = 0;
    return NULL;
}

size_t p11_kit_pin_get_length(void *pin) {
    (void)pin;
    return 0;
}

// Objects of modules, which newer versions of GnuTLS look through. There are none.

void *p11_kit_iter_new(void *uri, int behavior) {
    (void)uri;
    (void)behavior;
    return nothing;
}

void p11_kit_iter_add_filter(void *iterator, void *matching, unsigned long count) {
    (void)iterator;
    (void)matching;
    (void)count;
}

void p11_kit_iter_begin_with(void *iterator, void *module, unsigned long slot, unsigned long session) {
    (void)iterator;
    (void)module;
    (void)slot;
    (void)session;
}

unsigned long p11_kit_iter_next(void *iterator) {
    (void)iterator;
    return no_more;
}

unsigned long p11_kit_iter_get_object(void *iterator) {
    (void)iterator;
    return 0;
}

unsigned long p11_kit_iter_get_attributes(void *iterator, void *attributes, unsigned long count) {
    (void)iterator;
    (void)attributes;
    (void)count;
    return refused;
}

void p11_kit_iter_free(void *iterator) { (void)iterator; }

// URIs. There is one, which is empty, so that a caller is refused when it parses rather than told of too little memory.

void *p11_kit_uri_new(void) { return nothing; }

void p11_kit_uri_free(void *uri) { (void)uri; }

int p11_kit_uri_parse(const char *text, int type, void *uri) {
    (void)text;
    (void)type;
    (void)uri;
    return uri_unexpected;
}

int p11_kit_uri_format(void *uri, int type, char **text) {
    (void)uri;
    (void)type;
    (void)text;
    return uri_unexpected;
}

void *p11_kit_uri_get_module_info(void *uri) {
    (void)uri;
    return NULL;
}

int p11_kit_uri_match_module_info(void *uri, void *info) {
    (void)uri;
    (void)info;
    return 0;
}

void *p11_kit_uri_get_token_info(void *uri) {
    (void)uri;
    return NULL;
}

int p11_kit_uri_match_token_info(void *uri, void *info) {
    (void)uri;
    (void)info;
    return 0;
}

void *p11_kit_uri_get_attributes(void *uri, unsigned long *count) {
    (void)uri;
    if (count != NULL) *count = 0;
    return NULL;
}

void *p11_kit_uri_get_attribute(void *uri, unsigned long type) {
    (void)uri;
    (void)type;
    return NULL;
}

int p11_kit_uri_set_attribute(void *uri, void *attribute) {
    (void)uri;
    (void)attribute;
    return uri_unexpected;
}

const char *p11_kit_uri_get_pin_source(void *uri) {
    (void)uri;
    return NULL;
}

const char *p11_kit_uri_get_pin_value(void *uri) {
    (void)uri;
    return NULL;
}

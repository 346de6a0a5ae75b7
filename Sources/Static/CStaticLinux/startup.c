// What has to be done before anything else runs in a static program.

#include <nss.h>
#include <openssl/crypto.h>

// Of Swift's runtime, which reads /proc/self/cmdline otherwise, and finds nothing where that is not mounted.
void _swift_stdlib_overrideUnsafeArgvArgc(char **argv, int argc);

__attribute__((constructor)) static void begin(int argc, char **argv) {
    _swift_stdlib_overrideUnsafeArgvArgc(argv, argc);

    // A static program must not load shared libraries of the machine it is on: they bring that machine's C library along,
    // of another version than the one that is linked in.
    //
    // Names of hosts come from the hosts file and name servers, which is what glibc has within, whatever nsswitch.conf says.
    __nss_configure_lookup("hosts", "files dns");
    // openssl.cnf may name providers and engines to load.
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
}

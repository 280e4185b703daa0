/* TCP ports for servers of tests. */
#ifndef TESTS_SUPPORT_PORT_H
#define TESTS_SUPPORT_PORT_H

/*
 * A port that nothing on 127.0.0.1 uses and that no other test was given. It is
 * below those that outgoing connections take, and reserved, by an abstract Unix
 * socket, as long as this process lives; tests/harness reserves the same way.
 */
unsigned free_port(void);

#endif

// Package sketch holds what a digest keeps of its users in bounded memory: the
// sum of their hashes, sums at checkpoints, a sample of the users with the
// highest hashes, and the difference table, from which the users that two sides
// do not share can be read. Each has a binary form that refuses whatever users
// cannot have left behind.
package sketch

"""Gaussian mixtures of settings and readings, and what corrects them: trees and flow matching."""

output "gateway_image" {
  description = "The image that the gateway runs, by digest."
  value       = var.gateway_image
}
